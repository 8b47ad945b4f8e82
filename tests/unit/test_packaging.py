"""One runtime for the models: whoever chooses it, in whichever way."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from sidecar.classify.runtime import PACKAGES

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = {
    "requirements.lock": "onnxruntime",
    "requirements-dev.lock": "onnxruntime",
    "requirements-gpu.lock": "onnxruntime-gpu",
    "requirements-openvino.lock": "onnxruntime-openvino",
    "requirements-remote.lock": "onnxruntime",
}
PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Package to version."""
    return dict(PINNED.findall((ROOT / lock).read_text(encoding="utf-8")))


@pytest.mark.parametrize(("lock", "runtime"), LOCKS.items())
def test_a_lock_has_one_runtime(lock: str, runtime: str) -> None:
    """Two would overwrite each other's files."""
    assert [name for name in PACKAGES if name in pins(lock)] == [runtime]


@pytest.mark.parametrize(
    "lock", ["requirements-gpu.lock", "requirements-openvino.lock"]
)
def test_locks_differ_in_the_runtime_alone(lock: str) -> None:
    """What both pin, and the runtime does not bring, is of the same version."""
    usual, other = pins("requirements.lock"), pins(lock)
    brought = set(PACKAGES) | {"protobuf", "flatbuffers", "sympy", "coloredlogs"}
    for name in (usual.keys() & other.keys()) - brought:
        assert other[name] == usual[name], name
    assert usual.keys() - other.keys() <= brought


def test_the_client_of_remote_engines_is_the_tested_one() -> None:
    """It asks for other versions than requirements.lock has: those the tests run on."""
    tested, remote = pins("requirements-dev.lock"), pins("requirements-remote.lock")
    assert "tritonclient" in remote
    assert remote.items() <= tested.items()
    assert pins("requirements.lock").keys() <= remote.keys()


def test_an_installation_without_extras_has_none() -> None:
    """So that an extra can choose."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [d for d in project["dependencies"] if d.startswith("onnxruntime")]
    for extra in ("cpu", "gpu", "openvino"):
        (chosen,) = project["optional-dependencies"][extra]
        assert chosen.startswith("onnxruntime")


def test_the_image_can_be_built_with_any_lock() -> None:
    """The build argument names one; the build is given all of them."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "\nARG LOCK=requirements.lock\n" in dockerfile
    assert "\nCOPY ${LOCK} ./requirements.lock\n" in dockerfile
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for lock in LOCKS.keys() - {"requirements-dev.lock"}:
        assert f"!{lock}" in let_through
