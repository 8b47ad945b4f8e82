"""A pause holds until it ends by itself or is taken back; none is for ever."""

import pytest

from sidecar.oversight.pauses import LONGEST_S, MOST, Pause, Pauses


def pause(stream: str = "a", until: float = 60.0) -> Pause:
    """One by Anna."""
    return Pause(stream, until, "desk1", "interview with a surgeon")


def test_a_pause_ends_by_itself() -> None:
    """At its time, to the moment."""
    pauses = Pauses()
    pauses.set(pause(), now=0.0)
    assert pauses.get("a", 59.9) == pause()
    assert pauses.get("b", 59.9) is None
    assert pauses.get("a", 60.0) is None
    assert pauses.all(0.0) == []


def test_a_pause_can_be_changed_and_taken_back() -> None:
    """The last word holds."""
    pauses = Pauses([pause("b"), pause("a")])
    pauses.set(pause("a", until=90.0), now=0.0)
    assert pauses.all(0.0) == [pause("a", until=90.0), pause("b")]
    assert pauses.all(70.0) == [pause("a", until=90.0)]
    assert pauses.end("a") == pause("a", until=90.0)
    assert pauses.end("a") is None


@pytest.mark.parametrize("until", [-1.0, 0.0, LONGEST_S + 1, float("nan")])
def test_no_pause_is_over_or_for_ever(until: float) -> None:
    """A stream left to itself for days would be forgotten."""
    with pytest.raises(ValueError, match="within 24 hours"):
        Pauses().set(pause(until=until), now=0.0)


def test_the_number_of_pauses_is_bounded() -> None:
    """Those that are over do not count, and one can always be changed."""
    pauses = Pauses(pause(str(number)) for number in range(MOST))
    with pytest.raises(ValueError, match="limit"):
        pauses.set(pause("new"), now=0.0)
    pauses.set(pause("1", until=80.0), now=0.0)
    pauses.set(pause("new", until=90.0), now=70.0)
    assert len(pauses.all(70.0)) == 2
