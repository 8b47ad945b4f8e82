"""Assembler: whole access units, with all they refer to, or nothing."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.domain import AccessUnit, Codec
from sidecar.ingest.assembler import Assembler, Limits
from sidecar.ingest.h264 import H264Depacketizer
from sidecar.ingest.rtp import Packet
from tests.fakes.rtp_streams import arriving, depacketizer, sent, stream, together

both = pytest.mark.parametrize("codec", list(Codec))


class Receiving:
    """An assembler, what came out of it and what it gave up."""

    def __init__(self, codec: Codec, limits: Limits | None = None) -> None:
        self.lost: list[str] = []
        self.assembler = Assembler(depacketizer(codec), self.lost.append, limits)
        self.units: list[AccessUnit] = []

    def take(self, *packets: Packet) -> "Receiving":
        """Packets in, in this order."""
        for packet in packets:
            self.units += self.assembler.add(packet)
        return self

    @property
    def data(self) -> list[bytes]:
        """Of what came out."""
        return [unit.data for unit in self.units]


def of_picture(codec: Codec, number: int) -> list[Packet]:
    """The packets of picture `number` of the reference stream."""
    stamp = sorted({p.timestamp for p in stream(codec)})[number]
    return [p for p in stream(codec) if p.timestamp == stamp]


def without(codec: Codec, *missing: Packet) -> list[Packet]:
    """The reference stream without some of its packets."""
    return [p for p in stream(codec) if p not in missing]


def assert_whole_and_chained(codec: Codec, units: list[AccessUnit]) -> None:
    """Every unit is one sent, in order, a delta only right after its predecessor."""
    pictures = sent(codec)
    numbers = {picture.data: i for i, picture in enumerate(pictures)}
    last = -2
    for unit in units:
        number = numbers[unit.data]
        assert unit.keyframe == pictures[number].keyframe
        assert number > last
        assert unit.keyframe or number == last + 1
        last = number


@both
def test_stream_in_order_comes_out_as_it_was_encoded(codec: Codec) -> None:
    """Without loss, every picture comes out, equal to the encoder's, at its time."""
    got = Receiving(codec).take(*stream(codec))
    assert got.data == [picture.data for picture in sent(codec)]
    assert [u.keyframe for u in got.units] == [p.keyframe for p in sent(codec)]
    assert got.lost == []
    assert not got.assembler.broken
    first = of_picture(codec, 0)
    assert got.units[0].received_at == first[0].arrived_at
    assert got.units[0].completed_at == first[-1].arrived_at
    assert got.assembler.codec is got.units[0].codec is codec


@both
def test_numbers_wrap_around(codec: Codec) -> None:
    """Sequence numbers and timestamps may wrap in the middle, even of a picture."""
    packets = stream(codec, sequence=65_530, timestamp=(1 << 32) - 3 * 3000)
    assert Receiving(codec).take(*packets).data == [p.data for p in sent(codec)]


@both
def test_reordered_and_doubled_packets_do_no_harm(codec: Codec) -> None:
    """Within the window, order and repetition do not matter once begun."""
    head, *tail = stream(codec)
    mixed = [*tail, *tail]
    mixed.sort(key=lambda p: p.sequence * 7919 % 1000)
    got = Receiving(codec).take(head, *(replace(p, arrived_at=0) for p in mixed))
    assert got.data == [picture.data for picture in sent(codec)]


@both
def test_lost_packet_costs_its_picture_and_the_chain_to_the_next_keyframe(
    codec: Codec,
) -> None:
    """What refers to a torn picture is held back; the next keyframe comes out."""
    missing = of_picture(codec, 2)[0]
    late = [replace(p, arrived_at=p.arrived_at * 1000) for p in without(codec, missing)]
    got = Receiving(codec, Limits(wait_s=0.0)).take(*late)
    expected = [p.data for i, p in enumerate(sent(codec)) if i < 2 or i >= 8]
    assert got.data == expected
    assert "chain_broken" in got.lost


@both
def test_retransmission_in_time_costs_nothing(codec: Codec) -> None:
    """A packet that comes within `wait_s` fills its gap."""
    missing = of_picture(codec, 1)[0]
    packets = without(codec, missing)
    at = len(packets) // 2
    order = arriving([*packets[:at], missing, *packets[at:]])
    got = Receiving(codec, Limits(wait_s=60)).take(*order)
    assert got.data == [picture.data for picture in sent(codec)]


@both
def test_too_late_packet_is_ignored(codec: Codec) -> None:
    """What was given up does not come back, nor disturb what follows."""
    missing = of_picture(codec, 1)[0]
    late = [replace(p, arrived_at=p.arrived_at * 1000) for p in without(codec, missing)]
    got = Receiving(codec, Limits(wait_s=0.0)).take(*late)
    before = len(got.units)
    assert got.take(replace(missing, arrived_at=1e6)).units[before:] == []


@both
def test_joining_in_the_middle_begins_with_a_keyframe(codec: Codec) -> None:
    """Deltas without their keyframe are not handed out."""
    packets = stream(codec)
    got = Receiving(codec).take(*packets[len(of_picture(codec, 0)) + 1 :])
    assert got.data == [p.data for p in sent(codec)[8:]]
    assert got.units[0].keyframe


@both
def test_lost_marker_bit_is_made_up_for_by_the_next_timestamp(codec: Codec) -> None:
    """A picture without a marker ends where the next one begins."""
    packets = [replace(p, marker=False) for p in stream(codec)]
    got = Receiving(codec).take(*packets)
    assert got.data == [p.data for p in sent(codec)[:-1]]


@both
def test_padding_between_pictures_is_passed_over(codec: Codec) -> None:
    """Packets of padding have numbers but no payload."""
    packets: list[Packet] = []
    for picture in range(24):
        packets += of_picture(codec, picture)
        packets.append(replace(packets[-1], payload=b"", marker=False))
    numbered = [replace(p, sequence=i) for i, p in enumerate(packets)]
    assert Receiving(codec).take(*numbered).data == [p.data for p in sent(codec)]


@both
def test_malformed_payload_breaks_the_chain(codec: Codec) -> None:
    """A picture that cannot be joined is given up with all that refers to it."""
    packets = list(stream(codec))
    spoilt = packets.index(of_picture(codec, 1)[-1])
    packets[spoilt] = replace(packets[spoilt], payload=b"\x00")
    got = Receiving(codec).take(*packets)
    assert got.data == [p.data for i, p in enumerate(sent(codec)) if i < 1 or i >= 8]
    assert got.lost[0] == "malformed"


def test_parameter_sets_alone_are_no_picture() -> None:
    """An access unit of SPS and PPS only is remembered, not handed out."""
    picture = of_picture(Codec.H264, 0)
    sps = Packet(10, 5, marker=True, payload=b"\x67\x42\x00\x1f", arrived_at=0)
    got = Receiving(Codec.H264).take(sps)
    assert (got.units, got.lost) == ([], [])
    got.take(*(replace(p, sequence=11 + i) for i, p in enumerate(picture)))
    assert got.data == [sent(Codec.H264)[0].data]


@both
def test_oversized_picture_is_given_up(codec: Codec) -> None:
    """Neither packets nor bytes of one picture grow beyond the limit."""
    many = Limits(packets=2)
    assert "too_large" in Receiving(codec, many).take(*stream(codec)).lost
    big = Limits(bytes=2000)
    got = Receiving(codec, big).take(*stream(codec))
    assert "too_large" in got.lost
    assert_whole_and_chained(codec, got.units)


@both
def test_what_is_held_beyond_a_gap_is_bounded(codec: Codec) -> None:
    """A gap is given up when too many packets or bytes wait behind it."""
    packets = without(codec, stream(codec)[1])
    frozen = [replace(p, arrived_at=0) for p in packets]
    for limits in (Limits(packets=40), Limits(bytes=20_000)):
        got = Receiving(codec, limits).take(*frozen)
        assert got.units
        assert_whole_and_chained(codec, got.units)
        assert len(got.assembler._held) <= 41


@both
def test_several_gaps_are_given_up_one_after_the_other(codec: Codec) -> None:
    """Time given up for one gap does not hide the next."""
    packets = without(codec, *stream(codec)[1::20])
    late = [replace(p, arrived_at=0) for p in packets]
    late[-1] = replace(late[-1], arrived_at=99)
    got = Receiving(codec).take(*late)
    assert_whole_and_chained(codec, got.units)
    assert not got.assembler._held


@both
def test_stray_packet_is_ignored_and_a_new_numbering_followed(codec: Codec) -> None:
    """One far number is dropped; two in a row are the sender's new numbering."""
    got = Receiving(codec).take(*of_picture(codec, 0))
    stray = replace(of_picture(codec, 1)[0], sequence=40_000)
    got.take(stray, *of_picture(codec, 1))
    assert len(got.units) == 2
    again = [replace(p, sequence=p.sequence + 30_000) for p in stream(codec)]
    got.take(*again)
    assert_whole_and_chained(codec, got.units[2:])
    assert len(got.units) > 2


@both
def test_reset_forgets_everything(codec: Codec) -> None:
    """After a reset the next keyframe begins a new chain, whatever its number."""
    got = Receiving(codec).take(*stream(codec)[:-3])
    got.assembler.reset()
    assert got.assembler.broken
    before = len(got.units)
    moved = [replace(p, sequence=(p.sequence + 9999) % 65536) for p in stream(codec)]
    got.take(*moved)
    assert got.data[before:] == [p.data for p in sent(codec)]


@both
def test_broken_numbering_in_the_middle_of_a_picture(codec: Codec) -> None:
    """What was begun under another numbering is given up, held packets too."""
    packets = stream(codec)
    got = Receiving(codec).take(packets[0], packets[2])
    again = [replace(p, sequence=p.sequence + 30_000) for p in packets]
    got.take(*again)
    assert "torn" in got.lost
    assert_whole_and_chained(codec, got.units)


@st.composite
def _arrivals(draw: st.DrawFn) -> tuple[Codec, list[Packet]]:
    """A reference stream, some packets lost, some doubled, order disturbed."""
    codec = draw(st.sampled_from(list(Codec)))
    start = draw(st.sampled_from([0, 100, 65_500]))
    packets = list(stream(codec, sequence=start))
    seed = draw(st.randoms(use_true_random=False))
    loss = draw(st.sampled_from([0.0, 0.02, 0.2, 0.5]))
    spread = draw(st.sampled_from([0, 2, 30, 500]))
    twice = draw(st.sampled_from([0.0, 0.1]))
    kept = [p for p in packets if seed.random() >= loss]
    kept += [p for p in kept if seed.random() < twice]
    keyed = [(p.arrived_at * 1000 + seed.uniform(0, spread), p) for p in kept]
    return codec, [p for _, p in sorted(keyed, key=lambda pair: pair[0])]


@settings(deadline=None, max_examples=80)
@given(_arrivals(), st.sampled_from([0.0, 0.01, 0.5]))
def test_any_order_or_loss_gives_only_whole_chained_pictures(
    arrivals: tuple[Codec, list[Packet]], wait_s: float
) -> None:
    """The law: a whole access unit and all it refers to, or nothing."""
    codec, packets = arrivals
    got = Receiving(codec, Limits(packets=64, wait_s=wait_s))
    got.take(*arriving(packets))
    assert_whole_and_chained(codec, got.units)


_packets = st.builds(
    Packet,
    sequence=st.integers(0, 65_535) | st.integers(0, 20),
    timestamp=st.integers(0, 3),
    marker=st.booleans(),
    payload=st.binary(max_size=40),
    arrived_at=st.floats(0, 2),
)


_payloads = st.sampled_from([b"", b"\x10\x00rest", b"\x10\x01", b"\x65x", b"\x41x"])
_runs = st.builds(
    lambda sequence, timestamp, payloads: [
        Packet(sequence + i, timestamp, i == len(payloads) - 1, payload, 0.0)
        for i, payload in enumerate(payloads)
    ],
    st.integers(0, 40),
    st.integers(0, 3),
    st.lists(_payloads | st.binary(max_size=40), min_size=1, max_size=12),
)


@settings(deadline=None)
@given(st.sampled_from(list(Codec)), st.lists(_packets, max_size=60))
def test_any_packets_are_survived_within_bounds(
    codec: Codec, packets: list[Packet]
) -> None:
    """Whatever a stranger sends: no error, and no more held than allowed."""
    got = Receiving(codec, Limits(packets=8, bytes=100))
    for packet in packets:
        got.take(packet)
        assert len(got.assembler._held) <= 8
        assert len(got.assembler._parts) <= 8


def _outcome(got: Receiving) -> tuple[object, ...]:
    """All that can be seen of it."""
    assembler = got.assembler
    return got.units, got.lost, assembler.broken, assembler.skipped, assembler._held


def assert_runs_are_their_packets(
    codec: Codec, packets: list[Packet], limits: Limits | None, *, deltas: bool
) -> None:
    """The same outcome, packet by packet and by runs."""
    one, other = Receiving(codec, limits), Receiving(codec, limits)
    for run in together(packets):
        for packet in run.packets():
            one.units += one.assembler.add(packet, deltas=deltas)
        first, *rest = run.packets()
        other.units += other.assembler.add(first, deltas=deltas)
        for more in together(rest):
            other.units += other.assembler.extend(more, deltas=deltas)
        assert _outcome(one) == _outcome(other)


@settings(deadline=None, max_examples=80)
@given(arrivals=_arrivals(), deltas=st.booleans(), spread=st.integers(0, 3))
def test_runs_are_taken_as_their_packets_are(
    arrivals: tuple[Codec, list[Packet]], *, deltas: bool, spread: int
) -> None:
    """In any order or loss, whether they came together or not."""
    codec, packets = arrivals
    near = [replace(p, arrived_at=spread * int(p.arrived_at)) for p in packets]
    assert_runs_are_their_packets(codec, near, None, deltas=deltas)


@settings(deadline=None)
@given(
    codec=st.sampled_from(list(Codec)),
    runs=st.lists(_runs, max_size=20),
    deltas=st.booleans(),
)
def test_runs_of_strangers_are_taken_as_their_packets_are(
    codec: Codec, runs: list[list[Packet]], *, deltas: bool
) -> None:
    """Padding, markers and pictures without bounds among them."""
    packets = [packet for run in runs for packet in run]
    limits = Limits(packets=8, bytes=100)
    assert_runs_are_their_packets(codec, packets, limits, deltas=deltas)


def keyframes(codec: Codec) -> list[bytes]:
    """Those of the reference stream."""
    return [picture.data for picture in sent(codec) if picture.keyframe]


@both
def test_deltas_that_are_not_wanted_are_left_out(codec: Codec) -> None:
    """Only keyframes come out; the rest is no loss, and its payloads do not matter."""
    got = Receiving(codec)
    for packet in stream(codec):
        skipped = packet.timestamp == got.assembler.skipped
        bare = replace(packet, payload=b"") if skipped else packet
        got.units += got.assembler.add(bare, deltas=False)
    assert got.data == keyframes(codec)
    assert got.lost == []
    assert not got.assembler.broken


@settings(deadline=None, max_examples=80)
@given(_arrivals())
def test_keyframes_alone_are_whole_in_any_order_or_loss(
    arrivals: tuple[Codec, list[Packet]],
) -> None:
    """Leaving deltas out never tears a keyframe, and hands nothing else out."""
    codec, packets = arrivals
    got = Receiving(codec)
    for packet in packets:
        got.units += got.assembler.add(packet, deltas=False)
    assert [data for data in keyframes(codec) if data in got.data] == got.data


@both
@pytest.mark.parametrize("joins_at", [0, 1, 3])
def test_what_was_kept_away_is_no_loss(codec: Codec, joins_at: int) -> None:
    """Interrupted in mid-picture, resumed in another: next is the next keyframe."""
    before, after = stream(codec)[:3], of_picture(codec, 4)[joins_at:]
    rest = [p for p in stream(codec) if p.timestamp > after[0].timestamp]
    got = Receiving(codec).take(*before)
    got.assembler.interrupt()
    got.take(*after, *rest)
    assert got.data == [p.data for p in sent(codec)[8:]]
    assert got.lost == []


def in_need(got: Receiving) -> bool:
    """Whether somebody has to be asked for a keyframe."""
    return got.assembler.broken


@both
def test_waiting_for_a_keyframe_after_an_interruption_is_no_need(codec: Codec) -> None:
    """Nobody has to be asked for one; after a real loss somebody has."""
    got = Receiving(codec).take(*of_picture(codec, 0))
    got.assembler.interrupt()
    got.take(*of_picture(codec, 2), *of_picture(codec, 3))
    assert not in_need(got)
    late = replace(of_picture(codec, 5)[-1], arrived_at=9.0)
    got.take(late, replace(late, sequence=late.sequence + 1, arrived_at=9.9))
    assert in_need(got)
    assert got.data == [sent(codec)[0].data]


def test_first_packet_after_an_interruption_must_prove_itself() -> None:
    """An IDR slice may have lost its new parameter sets to the interruption."""
    sprop = "Z0IAH+k=,aM48gA=="
    lost: list[str] = []
    assembler = Assembler(H264Depacketizer(sprop), lost.append)
    slices = [
        Packet(n, n, marker=True, payload=b"\x65\x88", arrived_at=0.0) for n in range(3)
    ]
    assert assembler.add(slices[0])
    assembler.interrupt()
    assert assembler.add(slices[1]) == []
    assert assembler.add(slices[2])
    assert lost == []
