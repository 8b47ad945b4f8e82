"""Sequence numbers, losses and reception reports (RFC 3550, RFC 4585, RFC 4588)."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest.rtp import Missing, Numbering, Packet, Reception, Run, unwrap_rtx


def packet(sequence: int, timestamp: int = 0, at: float = 0.0) -> Packet:
    """A packet as far as statistics care."""
    return Packet(sequence, timestamp, marker=False, payload=b"x", arrived_at=at)


def test_retransmission_carries_its_original_number() -> None:
    """The first two bytes are the sequence number; shorter is a padding probe."""
    assert unwrap_rtx(b"\x01\x02data") == (0x0102, b"data")
    assert unwrap_rtx(b"\x01\x02") == (0x0102, b"")
    assert unwrap_rtx(b"\x01") is None


@given(
    st.integers(0, 65_535),
    st.lists(st.integers(-1000, 1000), max_size=50),
)
def test_numbers_are_endless(first: int, steps: list[int]) -> None:
    """Within half a window either way, differences survive every wrap-around."""
    numbering = Numbering()
    assert numbering.index(first) == first
    highest = first
    for step in steps:
        index = highest + step
        assert numbering.index(index % 65_536) == index
        highest = max(highest, index)
        assert not numbering.restarted


def test_far_number_counts_only_when_continued() -> None:
    """One stray packet is none; its successor starts another numbering."""
    numbering = Numbering()
    numbering.index(10)
    assert numbering.index(30_000) is None
    assert numbering.index(11) == 11
    assert numbering.index(30_001) is None
    assert numbering.index(30_002) == 30_002
    assert numbering.restarted
    assert numbering.index(65_535) is None
    assert numbering.index(0) == 0


def test_gap_is_asked_for_at_once_and_again() -> None:
    """Lost packets are asked for when noticed, then each interval, then no more."""
    missing = Missing(tries=2, interval_s=0.1)
    missing.add(65_534, 0.0)
    missing.add(1, 0.0)
    assert missing.due(0.0) == [65_535, 0]
    assert missing.due(0.05) == []
    missing.add(65_535, 0.06)
    assert missing.due(0.1) == [0]
    assert missing.due(0.2) == []
    assert len(missing) == 0


def test_stray_and_new_numberings_are_not_losses() -> None:
    """Nothing between two numberings is asked for."""
    missing = Missing()
    missing.add(1, 0.0)
    missing.add(40_000, 0.0)
    missing.add(40_001, 0.0)
    missing.add(40_003, 0.0)
    assert missing.due(0.0) == [40_002]


def test_more_losses_than_can_be_repaired_are_given_up() -> None:
    """Beyond the limit nothing is asked for: a keyframe is the better way out."""
    missing = Missing(limit=3)
    missing.add(0, 0.0)
    missing.add(3, 0.0)
    assert len(missing) == 2
    missing.add(6, 0.0)
    assert len(missing) == 0
    missing.add(8, 0.0)
    missing.clear()
    assert len(missing) == 0
    missing.add(20, 0.0)
    assert missing.due(0.0) == []


@given(st.lists(st.integers(0, 65_535), max_size=60), st.integers(1, 200))
def test_requests_are_bounded_whatever_comes(numbers: list[int], limit: int) -> None:
    """Any numbers: never more asked for than the limit."""
    missing = Missing(limit=limit)
    for at, number in enumerate(numbers):
        missing.add(number, float(at))
        assert len(missing.due(float(at))) <= limit
        assert len(missing) <= limit


def test_no_report_before_any_packet() -> None:
    """There is nothing to say of a source not heard."""
    assert Reception().report() is None


def test_report_counts_what_did_not_come() -> None:
    """Fraction of the interval in 1/256, losses in all, highest number with cycles."""
    reception = Reception()
    for number in (65_534, 65_535, 1):
        reception.add(packet(number))
    report = reception.report()
    assert report is not None
    assert report.fraction_lost == 64
    assert report.packets_lost == 1
    assert report.highest_sequence == 65_537
    reception.add(packet(2))
    again = reception.report()
    assert again is not None
    assert (again.fraction_lost, again.packets_lost) == (0, 1)


def test_late_packets_make_up_for_losses() -> None:
    """A packet out of order was not lost; doubles may even make it negative."""
    reception = Reception()
    for number in (1, 3, 2, 2, 2, 40_000):
        reception.add(packet(number))
    report = reception.report()
    assert report is not None
    assert (report.packets_lost, report.fraction_lost) == (-2, 0)


def test_new_numbering_begins_a_new_count() -> None:
    """A sender's restart is no loss of thousands."""
    reception = Reception()
    for number in (1, 2, 30_000, 30_001, 30_002):
        reception.add(packet(number))
    report = reception.report()
    assert report is not None
    assert (report.packets_lost, report.highest_sequence) == (0, 30_002)


def test_jitter_is_deviation_from_the_timestamps() -> None:
    """Punctual packets give none; 1 ms of deviation gives 90 / 16 at first."""
    reception = Reception()
    for number in range(3):
        reception.add(packet(number, timestamp=number * 3000, at=number / 30))
    steady = reception.report()
    reception.add(packet(3, timestamp=9000, at=3 / 30 + 0.001))
    late = reception.report()
    assert steady is not None
    assert late is not None
    assert (steady.jitter, late.jitter) == (0, 5)


def test_expected_gap_is_no_stray_packet() -> None:
    """Half a cycle ahead is believed once; a late packet before it changes nothing."""
    numbering = Numbering()
    numbering.index(60_000)
    numbering.expect_gap()
    assert numbering.index(59_999) == 59_999
    assert numbering.index(20_000) == (1 << 16) + 20_000
    assert numbering.index(40_000) is None


@given(
    base=st.integers(0, 65_535),
    runs=st.lists(
        st.tuples(
            st.integers(0, 32_000),  # kept away
            st.lists(st.booleans(), min_size=1, max_size=40),  # what came after
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_what_was_kept_away_is_lost_in_the_share_of_the_rest(
    base: int, runs: list[tuple[int, list[bool]]]
) -> None:
    """Nothing of it if nothing else was lost; as much in proportion if something was.

    So whoever sends sees the same share of loss whatever is kept away.
    """
    reception, number, lost = Reception(), base, 0
    let_in = sum(len(came) + 2 for _, came in runs)
    kept = sum(kept_away for kept_away, _ in runs[1:])  # the first packet is the base
    for kept_away, came in runs:
        number += kept_away
        reception.interrupt()
        # Losses before a run's first and after its last packet are not told apart.
        for i, comes in enumerate([True, *came, True]):
            if comes:
                sequence = number % (1 << 16)
                reception.add(
                    Packet(sequence, i, marker=False, payload=b"", arrived_at=0)
                )
            else:
                lost += 1
            number += 1
    report = reception.report()
    assert report is not None
    assert report.packets_lost == lost + kept * lost // let_in
    assert report.fraction_lost == 256 * lost // let_in
    assert report.highest_sequence % (1 << 16) == (number - 1) % (1 << 16)


def test_each_report_presumes_of_its_own_time() -> None:
    """What was kept away in bad times stays lost in good ones, and no more is added."""
    reception, number, told = Reception(), 0, []
    for lost in (1, 0, 1):
        reception.interrupt()
        reception.add(packet(number))
        reception.add(packet(number + 1 + lost))
        number += 100
        said = reception.report()
        assert said is not None
        told.append(said.packets_lost)
    # 97 are kept away before the second report, 98 before the last: of these a third
    assert told == [1, 1, 2 + 98 // 3]


def test_late_packets_from_before_a_gap_count_for_nothing() -> None:
    """They were given up with the gap."""
    reception = Reception()
    for sequence in (10, 11, 100, 12):
        if sequence == 100:
            reception.interrupt()
        reception.add(packet(sequence))
    report = reception.report()
    assert report is not None
    assert report.packets_lost == 0
    assert report.highest_sequence == 100


@given(
    st.lists(
        st.tuples(
            st.integers(-3, 4) | st.integers(0, 65_535),
            st.integers(1, 9),
            st.integers(0, 3),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_a_run_counts_as_its_packets_do(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    """Whatever came before it: the same report, the same requests."""
    one, other = Reception(), Reception()
    lone, joined = Missing(), Missing()
    sequence = 0
    for at, (step, count, timestamp, interrupted) in enumerate(steps):
        if interrupted:
            one.interrupt()
            other.interrupt()
        sequence = (sequence + step) % 65_536
        run = Run(
            sequence, timestamp, marker=False, payloads=[b""] * count, arrived_at=at
        )
        sequence = (sequence + count) % 65_536
        for each in run.packets():
            one.add(each)
            lone.add(each.sequence, at)
        other.extend(run)
        joined.extend(run)
        assert one.report() == other.report()
        assert lone.due(at) == joined.due(at)
