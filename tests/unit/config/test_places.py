"""The user's models lie where the XDG specification puts data."""

from pathlib import Path

import pytest

from sidecar.config.places import user_models

HOME = Path("/home/u/.local/share/sidecar/models")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_DATA_HOME": "/data", "HOME": "/home/u"}, Path("/data/sidecar/models")),
        ({"HOME": "/home/u"}, HOME),
        ({"XDG_DATA_HOME": "", "HOME": "/home/u"}, HOME),
        ({"XDG_DATA_HOME": "relative", "HOME": "/home/u"}, HOME),
        ({}, Path("/.local/share/sidecar/models")),
    ],
)
def test_the_folder_follows_the_environment(
    environ: dict[str, str], folder: Path
) -> None:
    """An absolute XDG_DATA_HOME, else the home folder's default."""
    assert user_models(environ) == folder


def test_the_process_s_own_environment_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the command sees is what the user exported."""
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    assert user_models() == Path("/srv/data/sidecar/models")
