"""Which SSRC is the video watched."""

import pytest

from sidecar.ingest.media_source import MediaSource, TooManySources


def test_newest_source_counts() -> None:
    """A sender that restarts under another SSRC is followed at once."""
    source = MediaSource()
    assert source.hear(1, 0.0)
    assert source.hear(2, 0.1)
    assert source.hear(2, 0.2)
    assert source.current == 2


def test_earlier_source_counts_again_only_after_silence() -> None:
    """Late packets of the old source do not switch back and forth."""
    source = MediaSource()
    source.hear(1, 0.0)
    source.hear(2, 0.0)
    assert not source.hear(1, 0.5)
    assert source.hear(1, 1.0)
    assert source.current == 1


def test_endless_sources_are_refused() -> None:
    """Each costs memory below us."""
    source = MediaSource()
    for ssrc in range(32):
        source.hear(ssrc, 0.0)
    with pytest.raises(TooManySources, match="32"):
        source.hear(99, 0.0)
