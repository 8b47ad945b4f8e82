"""The demo publisher's command line."""

from pathlib import Path

from sidecar.demo.publisher import publication_of
from sidecar.domain import Codec

URL = "http://whip.test/whip/studio"


def test_command_line(tmp_path: Path) -> None:
    """The arguments arrive in the publication; the token comes from its file."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    publication = publication_of(
        ["--whip", URL, "--token-file", str(token), "--codec", "h264", "--fps", "15"]
    )
    assert publication.token == "abc"  # noqa: S105 the test's own
    assert publication.codec is Codec.H264
    assert publication.scene.fps == 15
    assert publication.scene.card_for_s is None
    assert "abc" not in repr(publication)


def test_a_card_that_comes_now_and_then() -> None:
    """How long it stays and how often it comes arrive in the scene."""
    arguments = ["--whip", URL, "--card-for", "8", "--card-every", "40"]
    scene = publication_of(arguments).scene
    assert (scene.card_for_s, scene.card_every_s) == (8.0, 40.0)


def test_command_line_without_card() -> None:
    """`--category safe` is the street alone."""
    publication = publication_of(["--whip", URL, "--category", "safe"])
    assert publication.scene.category is None
