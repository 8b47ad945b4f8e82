"""Variables in place of arguments."""

import pytest

from sidecar.config.variables import variable


@pytest.mark.parametrize(
    ("environ", "found"),
    [({}, None), ({"A": ""}, None), ({"A": " \n"}, None), ({"A": " x\n"}, "x")],
)
def test_blanks_are_nothing(environ: dict[str, str], found: str | None) -> None:
    """And are no part of what is there."""
    assert variable("A", environ) == found


def test_the_process_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up when asked for."""
    monkeypatch.setenv("SIDECAR_REPLAY_TOKEN", "t")
    assert variable("SIDECAR_REPLAY_TOKEN") == "t"
