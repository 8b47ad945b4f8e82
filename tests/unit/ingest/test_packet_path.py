"""PacketPath: whose packet, which codec, what to ask for."""

from dataclasses import replace

import pytest

from sidecar.domain import Codec
from sidecar.errors import StreamUnavailable, StreamUnsupported, UnsupportedReason
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.packet_path import Agreement, PacketPath
from sidecar.ingest.rtp import Packet, Run
from sidecar.ingest.rtp_header import Header
from sidecar.ingest.source import Want
from sidecar.stats import Stats
from tests.fakes.rtp_streams import sent, stream, together

VP8, RTX, H264, OPUS, FOREIGN = 96, 97, 98, 111, 120
AGREED = Agreement(
    codecs={VP8: Codec.VP8, H264: Codec.H264},
    rtx={RTX: VP8},
    ignored=frozenset({OPUS}),
)


class Asked:
    """Takes note of what the path says back."""

    def __init__(self) -> None:
        self.sources: list[int] = []
        self.keyframes = 0
        self.repeated: list[int] = []
        self.interruptions = 0
        self.together = 0

    def about(self, media_ssrc: int) -> None:
        """Noted."""
        self.sources.append(media_ssrc)

    def request_keyframe(self) -> None:
        """Counted."""
        self.keyframes += 1

    def interrupted(self) -> None:
        """Counted."""
        self.interruptions += 1

    def came(self, packet: Packet, *, repeated: bool) -> None:
        """Noted if repeated."""
        if repeated:
            self.repeated.append(packet.sequence)

    def more(self, run: Run) -> None:
        """Counted."""
        self.together += len(run.payloads)


class Receiving:
    """A path with a buffer that keeps everything."""

    def __init__(self, want: Want = Want.ALL) -> None:
        self.asked = Asked()
        self.stats = Stats()
        self.buffer = AccessUnitBuffer(self.stats)
        self.buffer.want(want)
        self.path = PacketPath("s", self.buffer, self.asked, self.stats, 10.0)
        self.path.begin(AGREED, 0.0)

    def take(self, payload_type: int, ssrc: int, *packets: Packet) -> None:
        """Packets in."""
        for packet in packets:
            header = Header(
                payload_type, packet.marker, packet.sequence, packet.timestamp, ssrc
            )
            self.path.take(header, packet.payload, packet.arrived_at)

    @property
    def data(self) -> list[bytes]:
        """What the buffer holds."""
        return [unit.data for unit in self.buffer._units]


def test_media_comes_out_and_is_counted() -> None:
    """A stream without loss is handed out whole, with one PLI at most."""
    got = Receiving()
    assert got.path.codec is Codec.VP8
    got.take(VP8, 1, *stream(Codec.VP8))
    assert got.data == [p.data for p in sent(Codec.VP8)]
    labels = {"codec": "VP8", "keyframe": "true"}
    counted = got.stats.registry.get_sample_value("sidecar_access_units_total", labels)
    assert counted == sum(p.keyframe for p in sent(Codec.VP8))
    assert got.asked.sources == [1]
    assert got.path.ssrc == 1


def test_retransmissions_take_their_place() -> None:
    """A packet that comes wrapped in RTX counts as the one that was lost."""
    packets = stream(Codec.VP8)
    lost = packets[3]
    wrapped = replace(lost, payload=lost.sequence.to_bytes(2, "big") + lost.payload)
    got = Receiving()
    got.take(VP8, 1, *packets[:3], *packets[4:6])
    got.take(RTX, 2, wrapped, replace(wrapped, payload=b""))
    got.take(VP8, 1, *packets[6:])
    assert got.data == [p.data for p in sent(Codec.VP8)]
    assert got.asked.repeated == [lost.sequence]


def test_packets_that_came_together_make_the_same_pictures() -> None:
    """The first of each as ever, the rest in one go; of another source nothing."""
    for codec, payload_type in ((Codec.VP8, VP8), (Codec.H264, H264)):
        got = Receiving()
        for run in together(replace(p, arrived_at=0.0) for p in stream(codec)):
            first, *rest = run.packets()
            got.take(payload_type, 1, first)
            number = (first.sequence + 1) % 65_536
            header = Header(payload_type, run.marker, number, first.timestamp, 1)
            got.path.more(header._replace(ssrc=2), [b"x"], 0.0)
            got.path.more(header, [packet.payload for packet in rest], 0.0)
        assert got.data == [p.data for p in sent(codec)]
        assert got.asked.together > len(got.data)


def test_more_without_anything_before_is_nothing() -> None:
    """No picture has begun that it could belong to."""
    got = Receiving()
    got.path.more(
        Header(VP8, marker=True, sequence=1, timestamp=0, ssrc=1), [b"x"], 0.0
    )
    assert got.data == []


def test_retransmission_before_any_media_is_ignored() -> None:
    """Without media there is nothing that it could complete."""
    got = Receiving()
    got.take(RTX, 2, stream(Codec.VP8)[0])
    assert got.asked.repeated == []


def test_sender_may_change_between_the_codecs_agreed_on() -> None:
    """Another payload type begins anew with its own codec."""
    got = Receiving()
    got.take(VP8, 1, *stream(Codec.VP8))
    got.take(H264, 1, *stream(Codec.H264))
    assert got.path.codec is Codec.H264
    assert got.data[-1] == sent(Codec.H264)[-1].data


def test_parameter_sets_of_the_description_are_used() -> None:
    """A payload type with `sprop-parameter-sets` may send bare keyframes."""
    got = Receiving()
    sprop = {H264: "Z0IAH+k=,aM48gA=="}
    got.path.begin(Agreement({H264: Codec.H264}, sprop=sprop), 0.0)
    got.take(H264, 1, Packet(1, 1, marker=True, payload=b"\x65\x88", arrived_at=0.0))
    assert len(got.data) == 1


def test_new_source_begins_anew_and_is_asked_for_a_keyframe() -> None:
    """A publisher that restarts under another SSRC is followed; the old one ignored."""
    got = Receiving()
    packets = stream(Codec.VP8)
    got.take(VP8, 1, *packets[:5])
    got.take(VP8, 2, *(replace(p, sequence=p.sequence + 20_000) for p in packets))
    got.take(VP8, 1, packets[5])
    assert got.asked.sources == [1, 2]
    assert got.data[-len(sent(Codec.VP8)) :] == [p.data for p in sent(Codec.VP8)]


def test_endless_sources_end_the_stream() -> None:
    """A sender that changes its SSRC for ever is given up."""
    got = Receiving()
    for ssrc in range(32):
        got.take(VP8, ssrc, stream(Codec.VP8)[0])
    with pytest.raises(StreamUnavailable, match="SSRC"):
        got.take(VP8, 99, stream(Codec.VP8)[0])


def test_codec_not_agreed_on_is_told_after_a_while() -> None:
    """Many such packets, and none of ours for a second: the sender has changed."""
    got = Receiving()
    packet = stream(Codec.VP8)[0]
    got.take(FOREIGN, 1, *(replace(packet, arrived_at=0.5) for _ in range(80)))
    with pytest.raises(StreamUnsupported) as refusal:
        got.take(FOREIGN, 1, replace(packet, arrived_at=1.1))
    assert refusal.value.reason is UnsupportedReason.CODEC


def test_few_foreign_packets_are_told_by_the_watchdog() -> None:
    """A slow sender of another codec is not merely silent."""
    got = Receiving()
    got.take(FOREIGN, 1, stream(Codec.VP8)[0])
    with pytest.raises(StreamUnsupported, match="not agreed on"):
        got.path.check(10.0)


def test_other_tracks_are_ignored() -> None:
    """Audio that is still sent is neither a codec change nor a sign of life."""
    got = Receiving()
    packet = replace(stream(Codec.VP8)[0], arrived_at=9.0)
    got.take(OPUS, 1, *([packet] * 100))
    got.path.check(9.9)
    with pytest.raises(StreamUnavailable, match="no packets for 10 s"):
        got.path.check(10.0)


def test_keyframes_are_asked_for_each_second_until_one_comes() -> None:
    """Joining in the middle: one PLI at once, then one a second."""
    got = Receiving(Want.KEYFRAMES)
    delta = stream(Codec.VP8)[-1]
    for tenth in range(25):
        at = replace(delta, sequence=tenth, timestamp=tenth, arrived_at=tenth / 10)
        got.take(VP8, 1, at)
    assert got.asked.keyframes == 3


@pytest.mark.parametrize(("want", "asked"), [(Want.ALL, 6), (Want.KEYFRAMES, 1)])
def test_broken_chain_is_mended_sooner_where_all_is_wanted(
    want: Want, asked: int
) -> None:
    """Who wants keyframes only is given the next one in its time, 5 s."""
    got = Receiving(want)
    packets = stream(Codec.VP8)
    keyframe = [p for p in packets if p.timestamp == 0]
    got.take(VP8, 1, *keyframe)
    before = got.asked.keyframes
    for tenth in range(1, 70):
        sequence = keyframe[-1].sequence + 1 + tenth
        late = replace(
            packets[-1], sequence=sequence, timestamp=tenth, arrived_at=tenth / 10
        )
        got.take(VP8, 1, late)
    assert got.asked.keyframes - before == asked


def test_silence_counts_while_packets_can_come() -> None:
    """None is expected while they are kept away; then the whole time is given again."""
    got = Receiving()
    got.path.interrupted()
    got.path.check(50.0)
    got.path.resumed(50.0)
    got.path.check(59.9)
    with pytest.raises(StreamUnavailable, match="no packets for 10 s"):
        got.path.check(60.0)


@pytest.mark.parametrize("want", list(Want))
def test_interruption_is_no_loss_and_asks_for_nothing(want: Want) -> None:
    """From a keyframe into the middle of a group: the next comes by itself."""
    got = Receiving(want)
    packets = stream(Codec.VP8)
    keyframe = [p for p in packets if p.timestamp == 0]
    got.take(VP8, 1, *keyframe)
    asked, before = got.asked.keyframes, got.data[-1]
    got.path.interrupted()
    assert got.asked.interruptions == 1
    got.path.resumed(20.0)
    later = [
        replace(p, arrived_at=20 + p.arrived_at)
        for p in packets
        if p.timestamp > 15_000
    ]
    got.take(VP8, 1, *later)
    assert got.asked.keyframes == asked
    assert got.data[-1] != before
    lost = got.stats.registry.get_sample_value
    for reason in ("torn", "chain_broken"):
        assert lost("sidecar_lost_total", {"stage": "ingest", "reason": reason}) is None


def test_interruption_before_any_packet_is_told() -> None:
    """There is nothing to forget yet."""
    got = Receiving()
    got.path.interrupted()
    assert got.asked.interruptions == 1


def test_payloads_of_deltas_do_not_matter_where_none_is_wanted() -> None:
    """All but a delta's first packet can be passed over, until more is wanted."""
    got = Receiving(Want.KEYFRAMES)
    packets = [p for p in stream(Codec.VP8) if p.timestamp <= 12_000]
    got.take(VP8, 1, *packets[:-1])
    last = packets[-1]
    header = Header(VP8, last.marker, last.sequence, last.timestamp, 1)
    assert got.path.passes_over(header)
    assert not got.path.passes_over(header._replace(ssrc=2))
    assert not got.path.passes_over(header._replace(payload_type=H264))
    assert not got.path.passes_over(header._replace(timestamp=0))
    got.buffer.want(Want.ALL)
    assert not got.path.passes_over(header)
    assert not Receiving().path.passes_over(header)
