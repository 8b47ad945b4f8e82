"""Files as streams: paced, looped, and never a crash on what is no video."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import anyio
import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamUnsupported, UnsupportedReason
from sidecar.ingest.h264 import split_annex_b
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.ingest.video_file import FileConnector, Pacer
from sidecar.stats import Stats
from tests.fakes.rtp_streams import encoded, noise, sent
from tests.fakes.video_files import video_track, write_clip

anyio_test = pytest.mark.anyio
FORMATS = [("vp8.webm", Codec.VP8), ("h264.mp4", Codec.H264), ("h264.ts", Codec.H264)]
formats = pytest.mark.parametrize(("name", "codec"), FORMATS)


def connector(
    path: Path,
    *,
    loop: bool = False,
    realtime: bool = False,
    stats: Stats | None = None,
) -> FileConnector:
    """To `path`, as fast as it goes."""
    return FileConnector("s", path, loop, realtime, SystemClock(), stats or Stats())


async def read(source: AccessUnitSource, most: int = 1000) -> list[AccessUnit]:
    """What the source gives, up to `most`."""
    found = []
    iterator = aiter(source)
    async for unit in iterator:
        found.append(unit)
        if len(found) == most:
            break
    return found


def decodable(codec: Codec, units: list[AccessUnit]) -> int:
    """How many pictures a fresh decoder finds."""
    context = av.CodecContext.create(codec.value.lower(), "r")
    pictures = [f for unit in units for f in context.decode(av.Packet(unit.data))]  # type: ignore[attr-defined]
    return len(pictures + context.decode(None))  # type: ignore[attr-defined]


@anyio_test
@formats
async def test_every_picture_comes_out_decodable(
    tmp_path: Path, name: str, codec: Codec
) -> None:
    """All pictures in order, H.264 with start codes and parameter sets."""
    async with connector(write_clip(tmp_path / name, codec)).connect() as source:
        source.want(Want.ALL)
        source.want(Want.ALL)
        source.request_keyframe()
        units = await read(source)
        assert source.codec is codec
    assert len(units) == 24
    assert [u.keyframe for u in units] == [n % 8 == 0 for n in range(24)]
    assert decodable(codec, units) == 24
    if codec is Codec.H264:
        kinds = {nal[0] & 0x1F for nal in split_annex_b(units[8].data)}
        assert {5, 7, 8} <= kinds


@anyio_test
@formats
async def test_keyframes_alone_unless_more_is_wanted(
    tmp_path: Path, name: str, codec: Codec
) -> None:
    """Each keyframe is decodable on its own."""
    async with connector(write_clip(tmp_path / name, codec)).connect() as source:
        units = await read(source)
    assert len(units) == 3
    assert [decodable(codec, [unit]) for unit in units] == [1, 1, 1]


@anyio_test
async def test_all_begins_with_the_next_keyframe(tmp_path: Path) -> None:
    """Asked for in the middle of a group, its deltas are left out."""
    path = write_clip(tmp_path / "vp8.webm", Codec.VP8)
    async with connector(path).connect() as source:
        found = []
        async for unit in source:
            found.append(unit)
            source.want(Want.ALL)
    assert [u.keyframe for u in found] == [True, *([True] + [False] * 7) * 2]


@anyio_test
async def test_looping_goes_on_without_end(tmp_path: Path) -> None:
    """After the last picture comes the first one again."""
    path = write_clip(tmp_path / "vp8.webm", Codec.VP8)
    async with connector(path, loop=True).connect() as source:
        units = await read(source, 10)
    assert [u.data for u in units[:3]] == [u.data for u in units[3:6]]


@anyio_test
async def test_realtime_takes_its_time(tmp_path: Path) -> None:
    """Twelve pictures at 30 a second take a third of a second, not one each."""
    path = write_clip(tmp_path / "vp8.webm", Codec.VP8, count=12)
    clock = SystemClock()
    async with connector(path, realtime=True).connect() as source:
        source.want(Want.ALL)
        started = clock.monotonic()
        units = await read(source)
    assert 0.3 < units[-1].received_at - started < 10.0


@anyio_test
@pytest.mark.parametrize("codec_name", ["mpeg4", "libvpx-vp9"])
async def test_other_codecs_are_unsupported(tmp_path: Path, codec_name: str) -> None:
    """A file that cannot be looked into is refused with its codec named."""
    path = tmp_path / "other.mp4"
    with av.open(str(path), "w") as container:
        track = video_track(container, codec_name)
        container.mux(track.encode(noise(0).reformat(format="yuv420p")))
        container.mux(track.encode(None))
    with pytest.raises(StreamUnsupported, match="codec is") as refusal:
        async with connector(path).connect():
            pass
    assert refusal.value.reason is UnsupportedReason.CODEC


def _text(path: Path) -> None:
    path.write_text("no video at all\n" * 100)


def _empty(path: Path) -> None:
    path.touch()


def _half(path: Path) -> None:
    write_clip(path, Codec.H264)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _sound(path: Path) -> None:
    with av.open(str(path), "w", format="wav") as container:
        track = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=80)
        frame.rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(track.encode(frame))


@anyio_test
@pytest.mark.parametrize("make", [_text, _empty, _half, _sound, Path.mkdir])
async def test_what_is_no_video_is_unsupported(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Missing, empty, cut off, a folder: a clear error, once."""
    path = tmp_path / "broken.mp4"
    make(path)
    with pytest.raises(StreamUnsupported, match=r"broken\.mp4") as refusal:
        async with connector(path).connect():
            pass
    assert refusal.value.reason is UnsupportedReason.INPUT


@anyio_test
async def test_missing_file_is_unsupported(tmp_path: Path) -> None:
    """And the message names it without its folders."""
    with pytest.raises(StreamUnsupported, match=r"s: none\.mp4: there is no such file"):
        async with connector(tmp_path / "none.mp4").connect():
            pass


@anyio_test
@formats
async def test_damaged_file_ends_or_goes_on_with_whole_pictures(
    tmp_path: Path, name: str, codec: Codec
) -> None:
    """Noise in the middle and a missing end: no crash, and a group begins anew."""
    path = write_clip(tmp_path / name, codec)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = bytes(range(200)) * 2
    keep = len(data) if path.suffix == ".mp4" else len(data) * 4 // 5
    path.write_bytes(data[:keep])
    async with connector(path).connect() as source:
        source.want(Want.ALL)
        try:
            units = await read(source)
        except StreamUnsupported as refusal:
            assert refusal.reason is UnsupportedReason.INPUT  # noqa: PT017
        else:
            assert units[0].keyframe


@anyio_test
async def test_damaged_pictures_are_counted_and_end_their_group(tmp_path: Path) -> None:
    """A VP8 frame that cannot be read is left out with all that refers to it."""
    path = tmp_path / "vp8.avi"
    with av.open(str(path), "w", format="avi") as container:
        track = video_track(container, "libvpx")
        for number, picture in enumerate(encoded(Codec.VP8)):
            data = b"\x00" if number == 2 else bytes(picture)
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe = Fraction(1, 30), picture.is_keyframe
            packet.stream = track
            container.mux(packet)
    stats = Stats()
    async with connector(path, stats=stats).connect() as source:
        source.want(Want.ALL)
        units = await read(source)
    whole = [p.data for i, p in enumerate(sent(Codec.VP8)) if i < 2 or i >= 8]
    assert [u.data for u in units] == whole
    labels = {"stage": "ingest", "reason": "malformed"}
    assert stats.registry.get_sample_value("sidecar_lost_total", labels) == 1


@anyio_test
async def test_file_without_pictures_does_not_loop(tmp_path: Path) -> None:
    """Looping over nothing would be a busy loop; it is an error."""
    path = tmp_path / "empty.avi"
    with av.open(str(path), "w", format="avi") as container:
        video_track(container, "libx264")
        container.start_encoding()
    with pytest.raises(StreamUnsupported):
        async with connector(path, loop=True).connect() as source:
            await read(source)


@anyio_test
async def test_cancelled_reader_leaves_an_orderly_file(tmp_path: Path) -> None:
    """Leaving in the middle of a read closes after it; nothing runs on."""
    path = write_clip(tmp_path / "h264.mp4", Codec.H264)
    async with connector(path, loop=True).connect() as source:
        with anyio.move_on_after(0.05) as scope:
            await read(source, 1 << 30)
        assert scope.cancelled_caught


def test_pacer_keeps_step_with_the_clock() -> None:
    """Pictures are due as far apart as they are in the file."""
    pacer = Pacer()
    assert pacer.due(5.0, 100.0) == 100.0
    assert pacer.due(5.5, 100.2) == 100.5


def test_pacer_follows_jumps_of_the_timestamps() -> None:
    """A loop's jump back, or a hole, becomes one frame's distance."""
    pacer = Pacer()
    pacer.due(9.0, 100.0)
    assert pacer.due(0.0, 100.0) == pytest.approx(100 + 1 / 30)
    assert pacer.due(60.0, 100.0) == pytest.approx(100 + 2 / 30)


def test_pacer_does_not_make_up_for_lateness() -> None:
    """A reader that stays behind is not flooded."""
    pacer = Pacer()
    pacer.due(0.0, 100.0)
    assert pacer.due(0.1, 105.0) == 105.0
    assert pacer.due(0.2, 105.0) == pytest.approx(105.1)


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=30))
def test_pacer_never_waits_long(stamps: list[float]) -> None:
    """Whatever the timestamps: never more than a second, and never far behind."""
    pacer, now = Pacer(), 0.0
    for stamp in stamps:
        due = pacer.due(stamp, now)
        assert now - 1.01 <= due <= now + 1.04
        now = max(now, due)
