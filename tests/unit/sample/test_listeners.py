"""Who may listen, and who waits."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.listeners import Listeners


def test_as_many_as_there_are_places() -> None:
    """Who is inside stays so; the others are let in as places become free."""
    listeners = Listeners(2)
    assert [listeners.enter(who, 0.0) for who in "abc"] == [True, True, False]
    assert listeners.enter("a", 1.0)
    listeners.leave("b")
    assert listeners.enter("c", 1.0)
    listeners.leave("nobody")


def test_first_come_first_served() -> None:
    """Whoever asks first after a place became free, the place is for who came first."""
    listeners = Listeners(1)
    for who in "abc":
        listeners.enter(who, 0.0)
    listeners.leave("a")
    assert not listeners.enter("c", 1.0)
    assert listeners.enter("b", 1.0)


def test_who_leaves_the_queue_loses_the_place_in_it() -> None:
    """The next moves up."""
    listeners = Listeners(1)
    for who in "abc":
        listeners.enter(who, 0.0)
    listeners.leave("b")
    listeners.leave("a")
    assert listeners.enter("c", 1.0)


def test_who_asks_no_more_is_passed_over() -> None:
    """After two seconds: a stream may be busy, or resting for another reason."""
    listeners = Listeners(1)
    for who in "abc":
        listeners.enter(who, 0.0)
    listeners.leave("a")
    assert not listeners.enter("c", 1.9)
    assert listeners.enter("c", 2.0)


def test_who_finds_nothing_gives_way() -> None:
    """After ten seconds, and only if somebody waits; it may come again."""
    listeners = Listeners(1)
    listeners.enter("a", 0.0)
    assert listeners.enter("a", 60.0)
    assert not listeners.enter("b", 60.5)
    assert not listeners.enter("a", 61.0)
    assert listeners.enter("b", 61.0)
    assert not listeners.enter("a", 70.9)
    listeners.enter("b", 71.0)
    assert listeners.enter("a", 71.0)


def test_the_unseen_go_first() -> None:
    """A first picture makes room for one who has had none; a second one does not."""
    listeners = Listeners(1)
    for who in "abc":
        listeners.enter(who, 0.0)
    assert listeners.seen("a", 1.0)
    assert not listeners.enter("a", 1.0)
    assert listeners.enter("b", 1.0)
    assert listeners.seen("b", 1.5)
    assert not listeners.enter("b", 1.5)
    assert not listeners.enter("a", 1.5)
    assert listeners.enter("c", 1.5)
    assert not listeners.seen("c", 2.0)
    listeners.found("c")
    assert listeners.enter("a", 2.0)
    assert not listeners.enter("b", 2.0)
    assert not listeners.enter("new", 2.5)
    assert not listeners.seen("b", 2.5)  # it has no place
    assert not listeners.seen("a", 5.0)  # nobody has asked for long
    assert listeners.enter("a", 5.0)
    listeners.forget("a")
    assert listeners.enter("b", 5.0)
    assert not listeners.enter("a", 5.0)
    assert not listeners.seen("b", 5.5)  # once only: now it learns
    listeners.found("b")
    assert listeners.enter("a", 5.5)  # another one, by the name of the first


def test_newcomers_without_end_starve_nobody() -> None:
    """Somebody may open streams again and again in which there is nothing to see."""
    listeners = Listeners(1)
    assert listeners.enter("honest", 0.0)
    listeners.enter("new-0", 0.0)
    assert listeners.seen("honest", 1.0)
    entered = None
    for second in range(1, 60):
        for number in (second - 1, second):
            listeners.enter(f"new-{number}", float(second))
        listeners.forget(f"new-{second - 1}")
        if listeners.enter("honest", float(second)):
            entered = second
            break
    assert entered is not None
    assert entered <= 12
    assert not listeners.seen("honest", entered + 1.0)  # it stays until it has learned
    assert listeners.enter("honest", entered + 2.0)


def test_fewer_listen_where_they_find_nothing() -> None:
    """Down to one; and again one more with each that finds its keyframes."""
    listeners = Listeners(2)
    for who in "abc":
        listeners.enter(who, 0.0)
    for now in (10.0, 10.5, 20.0, 20.5):
        assert sum(listeners.enter(who, now) for who in "abc") <= 1
    inside = [who for who in "abc" if listeners.enter(who, 21.0)]
    assert len(inside) == 1
    listeners.found(inside[0])
    listeners.found("nobody")
    assert {who for who in "abc" if listeners.enter(who, 21.5)} == set("abc") - {
        *inside
    }


@given(st.integers(1, 4), st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_all_who_go_on_asking_get_in(places: int, leaving: list[str]) -> None:
    """And never more at once than there are places."""
    listeners, now = Listeners(places), 0.0
    been: set[str] = set()
    for who in [*leaving, *"abcdefgh"]:
        listeners.leave(who)
        inside = {one for one in "abcdefgh" if listeners.enter(one, now)}
        assert len(inside) <= places
        been |= inside
        now += 0.5
    for _ in range(100):
        been |= {one for one in "abcdefgh" if listeners.enter(one, now)}
        now += 1.0
    assert been == set("abcdefgh")
