"""The clip is encoded once, and is what it says it is."""

import tempfile
from pathlib import Path

import pytest

from sidecar.bench import clip
from sidecar.bench.clip import ClipSettings, cached, encode, load
from sidecar.bench.sender import Packed, Playhead, pack
from sidecar.domain import Codec

CODECS = (Codec.VP8, Codec.H264)
PICTURES = [Packed([bytes([i])], i % 3 == 0) for i in range(6)]


def _small(codec: Codec) -> ClipSettings:
    return ClipSettings(codec, width=160, height=96, keyframe_every=6, groups=2)


@pytest.mark.parametrize("codec", CODECS)
def test_each_group_begins_with_a_keyframe(codec: Codec) -> None:
    """Keyframes are where they should be, and nowhere else."""
    pictures = encode(_small(codec))
    assert [i for i, p in enumerate(pictures) if p.keyframe] == [0, 6]
    assert len(pictures) == 12


def test_a_clip_is_encoded_only_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second time it comes from the file, unchanged, and no draft is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = _small(Codec.VP8)
    path = cached(settings)
    monkeypatch.setattr(clip, "encode", None)
    assert cached(settings) == path
    assert load(path) == encode(settings)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_has_payloads(codec: Codec) -> None:
    """What is packed fits into packets, and keeps its kind."""
    pictures = encode(_small(codec))
    packed = pack(codec, pictures)
    assert [p.keyframe for p in packed] == [p.keyframe for p in pictures]
    assert all(0 < len(data) <= 1300 for p in packed for data in p.payloads)


def test_the_clip_is_looped() -> None:
    """After the last picture comes the first; the count goes on."""
    head = Playhead(PICTURES)
    shown = [head.next() for _ in range(8)]
    assert shown == [*PICTURES, *PICTURES[:2]]
    assert head.count == 8


def test_a_keyframe_asked_for_comes_next() -> None:
    """Asking skips the rest of the group, and at a keyframe nothing."""
    head = Playhead(PICTURES)
    head.skip_to_keyframe()
    assert head.next() == PICTURES[0]
    head.skip_to_keyframe()
    assert head.next() == PICTURES[3]
    head.skip_to_keyframe()
    assert head.next() == PICTURES[0]
