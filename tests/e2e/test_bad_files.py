"""Faulty configurations and models: exit 2, and what to mend, before all else."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sidecar.classify.catalogue import bundled_models
from tests.e2e.sidecar_process import settings

pytestmark = pytest.mark.e2e


def _sidecar(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and stderr of one command."""
    done = subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "sidecar", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    return done.returncode, done.stderr


def _written(folder: Path, **over: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings(folder, 1883, **over), sort_keys=False))
    return path


BAD_TEXTS = {
    "not YAML": ("mqtt: [", ":1:", "YAML"),
    "a list": ("- a\n- b\n", "", "top level"),
    "not text": ("\udc80", "", "UTF-8"),
    "twice": ("site: a\nsite: b\n", ":2:", "twice"),
    "alias": ("a: &x 1\nb: *x\n", "line 2", "aliases"),
}


def test_bad_configurations_all_faults_at_once(tmp_path: Path) -> None:
    """`check` names file and line of each fault of each file in one go, and exits 2."""
    files = []
    for number, (text, _, _) in enumerate(BAD_TEXTS.values()):
        path = tmp_path / f"bad-{number}.yaml"
        path.write_bytes(text.encode(errors="surrogateescape"))
        files.append(path)
    code, said = _sidecar("check", *files, tmp_path / "absent.yaml")
    assert code == 2
    for path, (name, (_, where, why)) in zip(files, BAD_TEXTS.items(), strict=True):
        line = next(one for one in said.splitlines() if str(path) in one)
        assert where in line, name
        assert why in line, name
    assert str(tmp_path / "absent.yaml") in said


def test_bad_values_name_line_key_value_and_mend(tmp_path: Path) -> None:
    """Every fault has file, line, key, value and what would be accepted."""
    path = _written(
        tmp_path,
        sampling={"interval": 1},
        drain_s=-1,
        streams=[{"id": "a/b", "file": {"path": "absent.mp4"}}],
    )
    code, said = _sidecar("run", path)
    assert code == 2
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "interval: 1" in line)
    assert f"{path}:{number}: sampling.interval: unknown key" in said
    assert "did you mean 'interval_s'" in said
    assert "drain_s" in said
    assert "-1" in said
    assert "absent.mp4" in said
    assert "a/b" in said
    assert "Traceback" not in said


def test_missing_model(tmp_path: Path) -> None:
    """The name of the model, and which there are."""
    code, said = _sidecar("run", _written(tmp_path, model="nowhere"))
    assert code == 2
    assert "nowhere" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("fault", ["cut", "noise with its hash", "no manifest"])
def test_broken_model(tmp_path: Path, fault: str) -> None:
    """A model file that is not what its manifest says is never run."""
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    original = bundled_models() / "testcard"
    manifest = yaml.safe_load((original / "model.yaml").read_text())
    manifest["name"] = "broken"
    content = (original / manifest["file"]).read_bytes()[:5000]
    if fault == "noise with its hash":
        content = b"\x08\x07noise" * 1000
        manifest["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / manifest["file"]).write_bytes(content)
    if fault != "no manifest":
        (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    path = _written(tmp_path, model="broken", models_dir=str(tmp_path / "models"))
    code, said = _sidecar("run", path)
    assert code == 2, said
    assert "broken" in said
    assert "Traceback" not in said
