"""`--via` and its options are understood, or told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.errors import ConfigError, StreamUnsupported
from sidecar.replay.inputs import Inputs
from sidecar.replay.network import Network
from sidecar.replay.sending import CONTROL_TOKEN, TOKEN, Sending

NONE = Inputs({"a": Path("/nowhere/a.mp4")})


def _send(
    via: str = "whep",
    *,
    listen: str = "127.0.0.1:0",
    control: str | None = None,
    token_file: Path | None = None,
) -> None:
    urls = ["http://127.0.0.1:9/whip/a"] if via == "whip" else []
    asked = Sending(via, urls, listen, control, token_file, None, Network())
    told: list[str] = []
    asked.run(NONE, told.append)


@pytest.mark.parametrize(
    "listen", ["127.0.0.1", ":80", "127.0.0.1:x", "127.0.0.1:65536", "h:\u0664"]
)
def test_an_address_that_is_none_is_told(listen: str) -> None:
    """With what one looks like."""
    with pytest.raises(ConfigError, match="give HOST:PORT"):
        _send(listen=listen)


def test_an_address_beyond_loopback_needs_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever comes is shown the video; from the environment it is taken as well."""
    with pytest.raises(ConfigError, match="reached from other machines"):
        _send(listen="[::]:0")
    monkeypatch.setenv(TOKEN, "0123456789abcdef0123")
    with pytest.raises(StreamUnsupported, match="no such file"):
        _send(listen="[::]:0")
    monkeypatch.setenv(CONTROL_TOKEN, "t")
    with pytest.raises(ConfigError, match="takes no token by its control API"):
        _send(control="http://127.0.0.1:9")


@pytest.mark.parametrize("via", ["whip", "whep"])
def test_a_token_comes_from_a_file(tmp_path: Path, via: str) -> None:
    """One line; what is not there or is no token is told, never shown."""
    file = tmp_path / "token"
    with pytest.raises(ConfigError, match="cannot be read"):
        _send(via, token_file=file)
    for wrong in ("", "two words", "two\nlines"):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match="the token alone") as caught:
            _send(via, token_file=file)
        assert "two" not in str(caught.value)
    file.write_text("0123456789abcdef0123\n")
    with pytest.raises(StreamUnsupported, match="no such file"):
        _send(via, token_file=file)


@pytest.mark.parametrize("option", ["--policy", "--record", "--labels", "--html"])
def test_what_the_sidecar_judges_is_not_asked_for_here(
    option: str, tmp_path: Path
) -> None:
    """An option that could have no effect is told, not passed over."""
    clip = tmp_path / "a.mp4"
    clip.touch()
    asked = ["replay", str(clip), "--via", "whep", option, str(tmp_path / "x")]
    with pytest.raises(ConfigError, match=f"^{option} does not go with --via"):
        CliRunner().invoke(cli, asked, catch_exceptions=False)
