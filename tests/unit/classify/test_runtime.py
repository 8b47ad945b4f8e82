"""Two runtime packages at once are found before they hurt."""

from importlib import metadata

import pytest

from sidecar.classify import runtime
from sidecar.errors import ConfigError


def test_one_package_is_installed_here() -> None:
    """And it can run on the CPU."""
    found = runtime.installed()
    runtime.require_one(found)
    assert len(found) == 1
    assert "CPUExecutionProvider" in runtime.available()


def test_two_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that mends it."""
    monkeypatch.setattr(metadata, "distribution", lambda _name: object())
    assert runtime.installed() == runtime.PACKAGES
    with pytest.raises(ConfigError, match="pip uninstall -y onnxruntime onnxruntime-"):
        runtime.require_one(runtime.installed()[:2])
