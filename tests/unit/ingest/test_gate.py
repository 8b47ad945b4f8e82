"""Gate: when it may be closed, and for how long; no clock, no socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest.gate import Gate

SURVIVED = 1 << 15  # packets that SRTP's rollover counter survives


def shut(gate: Gate) -> bool:
    """Whether it is closed now."""
    return gate.closed


def closed(gate: Gate, until: float = 100.0, now: float = 0.0) -> Gate:
    """The gate, closed after a first packet."""
    gate.heard(1, now)
    gate.rest(until, now)
    assert shut(gate)
    return gate


def test_it_is_open_until_somebody_rests() -> None:
    """Packets alone never close it."""
    gate = Gate()
    gate.heard(1, 0.0)
    gate.look(5.0)
    assert not shut(gate)


def test_it_closes_only_behind_a_packet() -> None:
    """Nobody heard yet: the rest begins with the first packet."""
    gate = Gate()
    gate.rest(2.0, 0.0)
    assert not shut(gate)
    gate.heard(1, 0.5)
    assert shut(gate)
    assert gate.opens_at == 2.0


def test_it_opens_in_time_and_stays_open() -> None:
    """From `until` on, whatever comes, until the next rest."""
    gate = closed(Gate(), until=2.0)
    gate.look(1.9)
    assert shut(gate)
    gate.look(2.0)
    assert not shut(gate)
    gate.heard(50, 2.1)
    assert not shut(gate)
    gate.rest(4.0, 2.2)
    assert shut(gate)


@pytest.mark.parametrize("until", [1.0, 0.0, float("-inf")])
def test_it_opens_at_once_if_rest_is_over(until: float) -> None:
    """An instant that is not in the future ends the rest."""
    gate = closed(Gate())
    gate.rest(until, 1.0)
    assert not shut(gate)


def test_rest_can_be_shortened_and_prolonged() -> None:
    """The last word counts."""
    gate = closed(Gate(), until=2.0)
    gate.rest(1.5, 1.0)
    assert gate.opens_at == 1.5
    gate.rest(3.0, 1.0)
    assert gate.opens_at == 3.0


def test_a_rest_too_short_is_none() -> None:
    """Two system calls for less than two pictures are not worth it."""
    gate = Gate()
    gate.heard(1, 0.0)
    gate.rest(0.04, 0.0)
    assert not shut(gate)


def test_long_rests_are_interrupted_for_one_packet() -> None:
    """It looks out once in a while; the next packet closes it again."""
    gate = closed(Gate(longest_s=3.0))
    assert gate.opens_at == 3.0
    gate.look(3.0)
    assert not shut(gate)
    gate.look(4.0)
    gate.heard(700, 4.0)
    assert shut(gate)
    assert gate.opens_at == 7.0


def test_without_measure_a_fast_sender_is_assumed() -> None:
    """The first rest ends before 32,768 packets at 8,000 a second."""
    assert closed(Gate()).opens_at * 8000 < SURVIVED


def test_fast_senders_are_looked_at_more_often() -> None:
    """The packets missed in one rest bound the next."""
    gate = closed(Gate(), until=1.0)
    gate.look(1.0)
    gate.heard(1 + 10_000, 1.0)
    gate.rest(100.0, 1.0)
    assert (gate.opens_at - 1.0) * 10_000 < SURVIVED
    assert gate.opens_at > 2.0


def test_late_packet_is_no_measure() -> None:
    """A packet from before the rest, delayed, does not look like 65,000 new ones."""
    gate = Gate()
    gate.heard(100, 0.0)
    gate.rest(1.0, 0.0)
    gate.look(1.0)
    gate.heard(99, 1.0)
    gate.rest(100.0, 1.0)
    assert gate.opens_at == 5.0


def test_another_sender_is_no_measure() -> None:
    """Its numbers begin anywhere."""
    gate = closed(Gate(), until=1.0)
    gate.renumbered()
    gate.look(1.0)
    gate.heard(30_000, 1.0)
    gate.rest(100.0, 1.0)
    assert gate.opens_at == 5.0


def test_packets_at_the_instant_of_closing_are_no_measure() -> None:
    """No division by the time that has not passed."""
    gate = closed(Gate())
    gate.rest(0.0, 0.0)
    gate.heard(5, 0.0)
    gate.rest(100.0, 0.0)
    assert gate.opens_at == 4.0


def test_sender_reports_open_it_before_too_much_is_missed() -> None:
    """A sender that speeds up while nobody listens says so itself."""
    gate = Gate()
    gate.heard(1, 0.0)
    gate.reported(0xFFFF_FFF0, 0.0)
    gate.rest(100.0, 0.0)
    gate.reported(1000, 1.0)
    assert shut(gate)
    gate.reported(17_000, 2.0)
    assert not shut(gate)


def test_first_report_behind_the_gate_is_where_counting_begins() -> None:
    """What was sent before it is unknown."""
    gate = closed(Gate())
    gate.reported(50_000, 1.0)
    assert shut(gate)
    gate.reported(70_000, 2.0)
    assert not shut(gate)


@given(
    rate=st.floats(1, 8000),
    steps=st.lists(
        st.tuples(st.floats(0.001, 5), st.floats(-1, 60)), min_size=1, max_size=40
    ),
)
def test_no_rest_is_longer_than_srtp_survives(
    rate: float, steps: list[tuple[float, float]]
) -> None:
    """Whoever rests whenever: fewer than 32,768 packets between two that are heard."""
    gate, now, sequence, heard = Gate(), 0.0, 0, 0
    for wait_s, rest_s in steps:
        gate.rest(now + rest_s, now)
        end = now + wait_s
        while now < end:
            now = min(end, gate.opens_at) if gate.closed else now + 1 / rate
            gate.look(now)
            sequence = int(now * rate)
            if not gate.closed:
                assert sequence - heard < SURVIVED
                heard = sequence
                gate.heard(sequence % (1 << 16), now)
                if not gate.closed:
                    now = end
                    heard = int(now * rate)
                    gate.heard(heard % (1 << 16), now)
