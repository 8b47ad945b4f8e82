"""What is relied on inside aiortc: present, and its absence told by name."""

from importlib import metadata

import pytest
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import RtpRouter

from sidecar.ingest import aiortc_bend


def test_installed_aiortc_has_what_is_relied_on() -> None:
    """Fails when a new aiortc or aioice moves one of the names."""
    aiortc_bend.check()


def test_what_has_moved_is_named_with_the_versions() -> None:
    """Whoever upgrades aiortc learns at import which place to look at."""
    wanted = ((RtpRouter.route_rtp, ("payload_type_table", "_no_such_table")),)
    version = metadata.version("aiortc")
    with pytest.raises(
        ImportError, match=rf"aiortc {version}.*RtpRouter.route_rtp.*_no"
    ):
        aiortc_bend.check(wanted)


def test_main_and_high_profiles_are_agreed_to_once() -> None:
    """The profiles of OBS and ffmpeg are known, with RTX, each under its own number."""
    aiortc_bend.know_more_h264_profiles()
    aiortc_bend.know_more_h264_profiles()
    video = CODECS["video"]
    profiles = [c.parameters["profile-level-id"] for c in video if c.name == "H264"]
    assert profiles == ["42001f", "42e01f", "4d001f", "64001f", "640c1f"]
    numbers = [codec.payloadType for codec in video]
    assert len(set(numbers)) == len(numbers)
    assert max(number or 0 for number in numbers) < 128
