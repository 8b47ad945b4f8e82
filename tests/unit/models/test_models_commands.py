"""`sidecar models`: exit codes and sentences."""

import io
import sys
from pathlib import Path

import pytest

from sidecar import cli
from tests.fakes.onnx_models import mean_colour, mean_colour_folder
from tests.unit.models.importing import source_of, spoken


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command with these arguments; its exit code."""
    monkeypatch.setattr(sys, "argv", ["sidecar", "models", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_the_user_s_models_are_found_before_the_bundled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was imported is known by its name; --models-dir comes before both."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    mine = mean_colour_folder(tmp_path / "sidecar" / "models" / "testcard")
    assert run(monkeypatch, "list") == 0
    assert capsys.readouterr().out == f"testcard\t{mine}\n"
    nearer = mean_colour_folder(tmp_path / "nearer" / "testcard")
    assert run(monkeypatch, "list", "--models-dir", str(nearer.parent)) == 0
    assert capsys.readouterr().out == f"testcard\t{nearer}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--variant", "v9"), "--variant 'v9' is not known; use v2 or mid"),
        (("--tarball", "/nowhere.tgz"), "/nowhere.tgz: cannot be read"),
        (("--tarball", __file__), "nsfwjs@4.4.0: has the hash sha512-"),
    ],
)
def test_what_cannot_be_imported_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    """Exit code 2 and a sentence, before anything is written."""
    assert run(monkeypatch, "import", "nsfwjs", *words) == 2
    assert told in capsys.readouterr().err


def test_a_model_that_fails_its_own_proof_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each check is a line; one FAIL is exit code 2."""
    folder = mean_colour_folder(tmp_path / "m", output={"activation": "none"})
    assert run(monkeypatch, "verify", str(folder)) == 2
    said = capsys.readouterr()
    assert "FAIL scores: " in said.out
    assert "does not do what its manifest says" in said.err


def test_a_file_of_one_s_own_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into the user's models, by its name; what was filled in and proved is shown."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    said = spoken()
    del said["input"]["name"]
    source_of(tmp_path, mean_colour(), said)
    words = (str(tmp_path / "my.onnx"), "--manifest", str(tmp_path / "my.yaml"))
    assert run(monkeypatch, "import", "onnx", *words) == 0
    shown = capsys.readouterr()
    assert "input.name: 'x', as the graph's input 'x'" in shown.err
    assert "ok   reference: red, blue, pattern" in shown.out
    assert "`model: mean-colour`" in shown.out
    assert run(monkeypatch, "verify", "mean-colour") == 0


def test_a_manifest_that_differs_is_told_where_nobody_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, every difference with its mend, nothing installed."""
    source_of(tmp_path, mean_colour(), spoken(input={"width": 9}))
    words = (str(tmp_path / "my.onnx"), "--manifest", str(tmp_path / "my.yaml"))
    folder = ("--models-dir", str(tmp_path / "models"))
    assert run(monkeypatch, "import", "onnx", *words, *folder) == 2
    assert "input.width: the manifest says 9; the graph's" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_on_a_terminal_a_mend_is_taken_by_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`y` takes the graph's value for the manifest's."""
    source_of(tmp_path, mean_colour(), spoken(input={"width": 9}))
    words = (str(tmp_path / "my.onnx"), "--manifest", str(tmp_path / "my.yaml"))
    folder = ("--models-dir", str(tmp_path / "models"))
    typed = io.StringIO("y\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    assert run(monkeypatch, "import", "onnx", *words, *folder) == 0
    assert "mend: 8. Take it? [Y/n]" in capsys.readouterr().err
