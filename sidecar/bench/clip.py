"""The clip that is sent: encoded once, kept in a temporary folder, never again."""

import os
import tempfile
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import numpy as np

from sidecar.domain import Codec, Picture
from sidecar.errors import SidecarError

_BLOCK: Final = 8  # pixels: one value of the moving field
_NOISE: Final = 6  # of 255, up and down: keeps the encoder at its rate
_ENCODERS: Final = {Codec.H264: "libx264", Codec.VP8: "libvpx"}


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """What is encoded.

    Attributes:
        codec: VP8 or H264.
        width: Pixels, a multiple of 8.
        height: Pixels, a multiple of 8.
        fps: Pictures a second.
        keyframe_every: Pictures from one keyframe to the next.
        groups: How many such groups.
        bit_rate: Bits a second, constant.
    """

    codec: Codec
    width: int = 1280
    height: int = 720
    fps: int = 30
    keyframe_every: int = 60
    groups: int = 4
    bit_rate: int = 2_000_000


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One picture of a clip; `data` as in `AccessUnit`."""

    data: bytes
    keyframe: bool


def encode(settings: ClipSettings) -> list[EncodedPicture]:
    """The clip's pictures in order; each group begins with a keyframe."""
    context = cast(
        "av.VideoCodecContext",
        av.CodecContext.create(_ENCODERS[settings.codec], "w"),
    )
    context.width, context.height = settings.width, settings.height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, settings.fps)
    context.framerate = Fraction(settings.fps)
    context.gop_size = settings.keyframe_every
    context.bit_rate = settings.bit_rate
    context.thread_count = 1
    context.options = _options(settings)
    packets = []
    rng = np.random.default_rng(1)
    field = _field(rng)
    for index in range(settings.keyframe_every * settings.groups):
        frame = av.VideoFrame.from_ndarray(
            _picture(index, settings, rng, field), "rgb24"
        ).reformat(format="yuv420p")
        frame.pts, frame.time_base = index, context.time_base
        packets += context.encode(frame)
    packets += context.encode(None)
    return [EncodedPicture(bytes(packet), packet.is_keyframe) for packet in packets]


def _options(settings: ClipSettings) -> dict[str, str]:
    rate, group = str(settings.bit_rate), settings.keyframe_every
    if settings.codec is Codec.VP8:
        constant = {"minrate": rate, "maxrate": rate, "bufsize": rate}
        return {
            "deadline": "realtime",
            "lag-in-frames": "0",
            "cpu-used": "8",
            **constant,
        }
    groups = f"keyint={group}:min-keyint={group}:scenecut=0"
    return {
        "tune": "zerolatency",
        "preset": "veryfast",
        "profile": "baseline",
        "maxrate": rate,
        "bufsize": rate,
        "x264-params": groups,
    }


def _field(rng: np.random.Generator) -> Picture:
    """Smooth noise that the pictures are cut from."""
    field = rng.integers(0, 255, (200, 200, 3)).astype(np.int32)
    for axis in (0, 1):
        field = (field + np.roll(field, 1, axis) + np.roll(field, 2, axis)) // 3
    return field.astype(np.uint8)


def _picture(
    index: int, settings: ClipSettings, rng: np.random.Generator, field: Picture
) -> Picture:
    """The field, moved on, enlarged and with fresh noise on it."""
    rows, columns = settings.height // _BLOCK, settings.width // _BLOCK
    moved = np.roll(field, (3 * index, 5 * index), (0, 1))[:rows, :columns]
    large = moved.repeat(_BLOCK, 0).repeat(_BLOCK, 1).astype(np.int16)
    noise = rng.integers(-_NOISE, _NOISE + 1, (*large.shape[:2], 1))
    picture: Picture = np.clip(large + noise, 0, 255).astype(np.uint8)
    return picture


def cached(settings: ClipSettings) -> Path:
    """The file with the clip, encoded now if it never was.

    Raises:
        SidecarError: The folder for it belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"sidecar-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SidecarError(f"{folder} belongs to another user")
    path = folder / ("-".join(map(str, astuple(settings))) + ".npz")
    if not path.exists():
        draft = folder / f"{os.getpid()}.npz"
        _save(encode(settings), draft)
        draft.replace(path)
    return path


def _save(pictures: list[EncodedPicture], path: Path) -> None:
    np.savez(
        path,
        data=np.frombuffer(b"".join(p.data for p in pictures), np.uint8),
        sizes=np.array([len(p.data) for p in pictures]),
        keyframes=np.array([p.keyframe for p in pictures]),
    )


def load(path: Path) -> list[EncodedPicture]:
    """The clip in a file that `cached` named."""
    with np.load(path, allow_pickle=False) as held:
        ends = np.cumsum(held["sizes"]).tolist()
        keyframes, data = held["keyframes"].tolist(), held["data"].tobytes()
    starts = [0, *ends[:-1]]
    return [
        EncodedPicture(data[start:end], keyframe)
        for start, end, keyframe in zip(starts, ends, keyframes, strict=True)
    ]
