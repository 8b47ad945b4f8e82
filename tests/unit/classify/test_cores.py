"""How many cores a process may use, in and outside containers."""

import os
from pathlib import Path

import pytest

from sidecar.classify.cores import quota_of, usable_cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("200000 100000\n", 2.0),
        ("50000 100000", 0.5),
        ("max 100000", None),
        ("", None),
        ("200000 0", None),
        ("a b c", None),
    ],
)
def test_a_quota_is_read(text: str, cores: float | None) -> None:
    """Of `cpu.max`: quota over period; anything else is no limit."""
    assert quota_of(text) == cores


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may run on four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 4),
        ({"": "max 100000"}, 4),
        ({"": "150000 100000"}, 1),
        ({"": "20000 100000"}, 1),
        ({"a/b": "max 100000", "a": "300000 100000"}, 3),
        ({"a/b": "200000 100000", "a": "300000 100000"}, 2),
        ({"": "900000 100000"}, 4),
    ],
)
def test_the_tightest_limit_holds(
    tmp_path: Path, limits: dict[str, str], cores: int
) -> None:
    """Of the affinity and every control group above the process; at least 1."""
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n0::/a/b\n")
    for group, text in limits.items():
        (tmp_path / "fs" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / group / "cpu.max").write_text(text)
    assert usable_cores(tmp_path / "fs", own) == cores


@pytest.mark.usefixtures("four")
def test_without_control_groups_affinity_holds(tmp_path: Path) -> None:
    """Version 1, or none at all: nothing to read, nothing to fail on."""
    assert usable_cores(tmp_path, tmp_path / "none") == 4


def test_without_affinity_all_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems that have none."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path, tmp_path / "none") == 1
