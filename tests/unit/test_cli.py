"""Arguments become work and exit codes; faults are sentences, not tracebacks."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from sidecar import __version__, cli

GOOD = Path(__file__).parents[2] / "configs" / "minimal.yaml"


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sidecar", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sidecar version` prints the version alone."""
    assert _run(monkeypatch, "version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_check_says_good(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A valid file gives 0 and says so."""
    assert _run(monkeypatch, "check", str(GOOD)) == 0
    assert "good" in capsys.readouterr().out


def test_check_lists_the_faults_of_all_files(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Each fault is one line on stderr; the exit code is 2."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.read_text().replace("enter: 0.85", "enter: high"))
    assert _run(monkeypatch, "check", str(bad), str(tmp_path / "none.yaml")) == 2
    err = capsys.readouterr().err
    assert "rules.0.enter: 'high' is not accepted" in err
    assert "none.yaml: cannot be read" in err
    assert "Traceback" not in err


def test_check_finds_a_rule_that_the_model_can_never_meet(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A category that the model never gives would be a rule that sleeps for ever."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.read_text().replace("sexual.explicit", "hate.symbol"))
    assert _run(monkeypatch, "check", str(bad)) == 2
    assert "'hate.symbol' is never given by model 'testcard'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "mqtt",
    [
        "signing: {key_file: key, key_id: k}",
        "tls: true\n  ca_file: key",
        "tls: true\n  cert_file: key\n  key_file: key",
    ],
)
def test_check_looks_into_the_key_files(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    mqtt: str,
) -> None:
    """A key or certificate that is none is found before anything is started."""
    (tmp_path / "key").write_text("none")
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.read_text().replace("\nmqtt:", f"\nmqtt:\n  {mqtt}"))
    assert _run(monkeypatch, "check", str(bad)) == 2
    assert str(tmp_path / "key") in capsys.readouterr().err


def test_a_missing_model_is_a_configuration_fault(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """It names the model and what there is."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("model: nothing-here\n" + GOOD.read_text())
    assert _run(monkeypatch, "run", str(bad)) == 2
    err = capsys.readouterr().err
    assert "nothing-here" in err
    assert "testcard" in err


def test_testcard_draws_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A PNG of the size that was asked for."""
    card = tmp_path / "card.png"
    size = ("--width", "320", "--height", "180")
    code = _run(
        monkeypatch, "testcard", "--category", "self_harm.act", "-o", str(card), *size
    )
    assert code == 0
    with Image.open(card) as picture:
        assert picture.size == (320, 180)


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (("--category", "nonsense", "-o", "x.png"), "use one of"),
        (("-o", "x.gif"), "use .png, .mp4 or .webm"),
    ],
)
def test_testcard_refuses_what_it_cannot_draw(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    mend: str,
) -> None:
    """The error says what there is."""
    assert _run(monkeypatch, "testcard", *arguments) == 2
    assert mend in capsys.readouterr().err


def test_demo_refuses_an_unknown_codec(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started, with what there is."""
    assert _run(monkeypatch, "demo", "--codec", "av1") == 2
    assert "use vp8 or h264" in capsys.readouterr().err


def test_models_list_show_verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference model is listed, shown as JSON, and does what it says."""
    assert _run(monkeypatch, "models", "list") == 0
    assert "testcard" in capsys.readouterr().out
    assert _run(monkeypatch, "models", "show", "testcard") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "testcard"
    assert _run(monkeypatch, "models", "verify", "testcard") == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "key"), [(("schema",), None), (("schema", "--asyncapi"), "asyncapi")]
)
def test_schema_is_json(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    key: str | None,
) -> None:
    """Both documents are printed whole."""
    assert _run(monkeypatch, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert key is None or document[key].startswith("3.")


def test_a_bug_is_one_logged_crash_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw ends the process and is logged with its traceback."""

    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli, "cli", broken)
    assert _run(monkeypatch, "version") == 1
    err = capsys.readouterr().err
    assert "crashed" in err
    assert "ZeroDivisionError" in err


def test_ctrl_c_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """130, as shells expect."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "cli", interrupted)
    assert _run(monkeypatch, "version") == 130


def test_without_a_runtime_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback: exit code 2 and the three packages to choose from."""

    def missing() -> None:
        raise ModuleNotFoundError("No module", name="onnxruntime")

    monkeypatch.setattr(cli, "cli", missing)
    assert _run(monkeypatch, "run") == 2
    assert "onnxruntime-openvino for Intel" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "run"])
def test_two_runtimes_at_once_are_refused(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """As their packages' metadata tells, before a model is loaded; with the mend."""
    other = tmp_path / "onnxruntime_openvino-1.24.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Name: onnxruntime-openvino\nVersion: 1.24.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert _run(monkeypatch, command, str(GOOD)) == 2
    err = capsys.readouterr().err
    assert "onnxruntime and onnxruntime-openvino are installed together" in err
    assert "pip uninstall -y onnxruntime onnxruntime-openvino" in err


def test_any_other_missing_module_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged as one."""

    def missing() -> None:
        raise ModuleNotFoundError("No module", name="nowhere")

    monkeypatch.setattr(cli, "cli", missing)
    assert _run(monkeypatch, "run") == 1
