"""Videos and recordings through the live code: the same outcome, byte for byte."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.domain import Category
from sidecar.errors import ConfigError
from sidecar.recording.reader import Recording
from sidecar.replay.builtin import builtin
from sidecar.replay.inputs import inputs
from sidecar.replay.outcome import Outcome
from sidecar.replay.run import Ways, replay
from sidecar.testcard.clip import Clip, write_clip

SMALL = Clip(width=320, height=180, fps=10, clean_s=2.0, card_s=3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which a card appears after two seconds, and one that stays clean."""
    path: Path = tmp_path_factory.mktemp("clips")
    write_clip(path / "card.mp4", Category.SEXUAL_EXPLICIT, SMALL)
    write_clip(path / "clean.webm", None, SMALL)
    (path / "broken.mp4").write_text("no video")
    return path


def _run(
    folder: Path, record: Path | None = None, stop: Event | None = None
) -> Outcome:
    def tell(stream: str, at: float, length_s: float | None, samples: int) -> None:
        assert stream
        assert at >= 0
        assert samples >= 0
        assert length_s is None or length_s > 0

    return replay(inputs([folder]), builtin(), Ways(stop or Event(), tell, record))


def _policy(path: Path, enter: float, **more: object) -> Path:
    rule = {
        "name": "cut",
        "category": "sexual.explicit",
        "action": "takedown",
        "enter": enter,
        "exit": 0.3,
        "hits": 2,
        "of": 3,
        "within_s": 4,
    }
    whole: object = [{"name": "p", "rules": [rule]}]
    if more:
        whole = {"policies": whole, **more}
    path.write_text(yaml.safe_dump(whole))
    return path


def test_a_card_is_taken_down_and_a_street_is_not(folder: Path) -> None:
    """By the policy of the demo; what is no video is told, and is never clean."""
    outcome = _run(folder)
    card, clean = outcome.streams["card"], outcome.streams["clean"]
    assert [one.action for one in card.actions] == ["flag", "takedown"]
    assert 2.0 <= card.actions[0].at <= 3.5
    assert card.actions[1].at <= 4.5
    assert (clean.actions, clean.unseen_s) == ([], 0.0)
    assert clean.samples >= 4
    assert clean.watched_s == pytest.approx(5.0, abs=0.2)
    broken = outcome.streams["broken"]
    assert (broken.samples, broken.verdicts[-1].reason) == (0, "no_frames")


def test_the_outcome_is_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    """And so is what is recorded of it, and the outcome of replaying that."""
    first = json.dumps(_run(folder, tmp_path / "a.jsonl").as_json())
    second = json.dumps(_run(folder, tmp_path / "b.jsonl.gz").as_json())
    assert first == second
    entries = list(Recording([tmp_path / "a.jsonl"]))
    assert entries == list(Recording([tmp_path / "b.jsonl.gz"]))
    again = _run(tmp_path / "a.jsonl", tmp_path / "c.jsonl")
    assert json.dumps(again.as_json()) == first
    assert (tmp_path / "c.jsonl").read_text() == (tmp_path / "a.jsonl").read_text()


def test_the_outcome_does_not_depend_on_the_cores(folder: Path) -> None:
    """One core or all of them: the command's output is equal to the byte."""
    command = [sys.executable, "-m", "sidecar", "replay", str(folder / "card.mp4")]
    command.append("--json")
    cores = os.sched_getaffinity(0)
    outputs = []
    for allowed in ({min(cores)}, cores):
        os.sched_setaffinity(0, allowed)
        try:
            done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
        finally:
            os.sched_setaffinity(0, cores)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0])["totals"]["actions"] == 2


def test_a_stopped_replay_is_valid_and_marked(folder: Path, tmp_path: Path) -> None:
    """Of a video and of a recording: what was reached is told, as a part."""
    stop = Event()
    stop.set()
    outcome = _run(folder, tmp_path / "a.jsonl", stop)
    assert outcome.as_json()["partial"] is True
    recording = Recording([tmp_path / "a.jsonl"])
    assert list(recording) == []
    assert recording.tally.interrupted == 1
    _run(folder, tmp_path / "a.jsonl")
    assert _run(tmp_path / "a.jsonl", stop=stop).as_json()["partial"] is True


def test_ctrl_c_ends_the_command_with_a_partial_result(folder: Path) -> None:
    """The first one; the exit code says that it was interrupted."""
    before = signal.getsignal(signal.SIGINT)
    runner = CliRunner()
    real = Event.is_set

    def interrupted(self: Event) -> bool:
        if not real(self):
            signal.raise_signal(signal.SIGINT)
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sidecar.replay.run._play", lambda *_: None)
        patch.setattr(Event, "is_set", interrupted)
        done = runner.invoke(cli, ["replay", str(folder), "--json"])
    assert done.exit_code == 130
    assert json.loads(done.stdout)["partial"] is True
    assert signal.getsignal(signal.SIGINT) is before


def _invoke(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["replay", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_tables_are_for_people(folder: Path, tmp_path: Path) -> None:
    """Streams, actions, and what another policy would change."""
    told = _invoke(folder)
    assert "card" in told
    assert "takedown" in told
    old = _policy(tmp_path / "old.yaml", 0.85)
    new = _policy(tmp_path / "new.yaml", 1.0)
    assert "vanishes" in _invoke(folder, "--diff", old, new)
    _invoke(folder, "--record", tmp_path / "a.jsonl", "--policy", old)
    assert "0 appear, 0 vanish, 0 move, 1 stay." in _invoke(
        tmp_path / "a.jsonl", "--diff", old, old
    )


def test_a_difference_is_told_to_machines(folder: Path, tmp_path: Path) -> None:
    """Added, removed, moved and by how much, from a recording."""
    old = _policy(tmp_path / "old.yaml", 0.85)
    new = _policy(tmp_path / "new.yaml", 1.0)
    _invoke(folder, "--record", tmp_path / "a.jsonl")
    said: dict[str, Any] = json.loads(
        _invoke(tmp_path / "a.jsonl", "--diff", old, new, "--json")
    )
    assert [one["stream"] for one in said["removed"]] == ["card"]
    assert (said["added"], said["moved"], said["same"]) == ([], [], 0)
    back = json.loads(_invoke(tmp_path / "a.jsonl", "--diff", new, old, "--json"))
    assert back["added"] == said["removed"]


def test_videos_are_compared_by_the_same_looks_only(
    folder: Path, tmp_path: Path
) -> None:
    """Two samplings see two things; the fault says what to do."""
    old = _policy(tmp_path / "old.yaml", 0.9)
    new = _policy(tmp_path / "new.yaml", 0.9, sampling={"interval_s": 2.0})
    arguments = ["replay", str(folder), "--diff", str(old), str(new)]
    done = CliRunner().invoke(cli, arguments)
    assert isinstance(done.exception, ConfigError)
    assert "differ in 'sampling'" in str(done.exception)


def test_where_nothing_can_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    """Before anything is played."""
    with pytest.raises(ConfigError, match="cannot be written"):
        _run(folder, tmp_path / "none" / "a.jsonl")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--via", "rtmp"], "--via 'rtmp' is not known"),
        (["--via", "whip"], "--via whip needs one URL"),
        (["--via", "whip", "http://127.0.0.1:9/whip/a"], "give one"),
        (["--via", "whip", "http://a/", "http://b/"], "--via whip needs one URL"),
        (["--via", "whep", "http://a/"], "http://a/: a URL goes with --via whip only"),
        (["http://a/"], "http://a/: a URL goes with --via whip only"),
        (["--via", "whep"], "give one"),
    ],
)
def test_what_cannot_be_sent_is_told(
    folder: Path, arguments: list[str], told: str
) -> None:
    """Before anything is opened."""
    done = CliRunner().invoke(cli, ["replay", str(folder), *arguments])
    assert isinstance(done.exception, ConfigError)
    assert told in str(done.exception)


def test_in_real_time_the_outcome_is_the_same(folder: Path, tmp_path: Path) -> None:
    """Only later; of a recording as well."""
    _run(folder / "card.mp4", tmp_path / "a.jsonl")
    arguments = [str(tmp_path / "a.jsonl"), "--json"]
    assert _invoke(*arguments, "--realtime") == _invoke(*arguments)
