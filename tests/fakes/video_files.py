"""Video files of noise, and files that are none."""

from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from sidecar.domain import Codec
from tests.fakes.rtp_streams import encoder, noise

_CONTAINERS = {
    ".webm": "webm",
    ".mp4": "mp4",
    ".ts": "mpegts",
    ".avi": "avi",
    ".mkv": "matroska",
}


def video_track(container: OutputContainer, encoder_name: str) -> av.VideoStream:
    """A track for pictures of noise."""
    track = container.add_stream(encoder_name, rate=30)
    assert isinstance(track, av.VideoStream)
    track.width, track.height, track.pix_fmt = 96, 64, "yuv420p"
    track.time_base = Fraction(1, 30)
    track.codec_context.thread_count = 1
    return track


def write_clip(path: Path, codec: Codec, count: int = 24) -> Path:
    """A file of `count` pictures, keyframe every 8."""
    name = "libvpx" if codec is Codec.VP8 else "libx264"
    with av.open(str(path), "w", format=_CONTAINERS[path.suffix]) as container:
        track = video_track(container, name)
        track.options = dict(encoder(codec).options)
        track.codec_context.gop_size = 8
        for index in range(count):
            container.mux(track.encode(noise(index).reformat(format="yuv420p")))
        container.mux(track.encode(None))
    return path
