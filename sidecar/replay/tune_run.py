"""`sidecar tune` from its recordings to what it writes."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.domain import Category
from sidecar.errors import ConfigError
from sidecar.recording.rerun import Rerun
from sidecar.replay.calibration import calibrate
from sidecar.replay.display import Tell, show_tuned
from sidecar.replay.inputs import inputs
from sidecar.replay.labels import Label, episodes, read_labels
from sidecar.replay.outcome import Outcome
from sidecar.replay.run import entry_of
from sidecar.replay.tune_report import tune_report
from sidecar.replay.tuned import calibration_json, policy_text, tuned_json
from sidecar.replay.tuning import Data, Tuned, Wishes, require_enough, tune


@dataclass(frozen=True, slots=True)
class Tuning:
    """The command's options.

    Attributes:
        recordings: Files or folders.
        labels: What was there.
        output: Where the recommended policy is written.
        html: Where the report is written; None: nowhere.
        wishes: What is to be shown.
        as_json: One JSON object on stdout, no table.
    """

    recordings: tuple[Path, ...]
    labels: Path
    output: Path
    html: Path | None = None
    wishes: Wishes = field(default_factory=Wishes)
    as_json: bool = False

    def run(self, tell: Tell) -> None:
        """Reads, tries, recommends.

        Raises:
            ConfigError: There is too little data; the fault says how much is needed.
            RecordingError: A recording is broken.
        """
        given = inputs(self.recordings)
        if given.recording is None:
            raise ConfigError(
                "tune works on recordings: make one of videos by `sidecar replay VIDEO "
                "--record FILE.jsonl.gz`"
            )
        outcome = Outcome(PolicySet((_NOTHING,)))
        rerun = Rerun(outcome.policies)
        for judged in rerun.run(given.recording):
            outcome.add(entry_of(judged))
            if judged.entry is not None and not len(outcome.log) % 1000:
                tell("reading", judged.at, None, len(outcome.log))
        epoch = given.recording.epoch
        labels = read_labels(self.labels, epoch)
        watched = {name: one.watched_s for name, one in outcome.streams.items()}
        data = Data(outcome.log.snapshot(), watched, labels)
        tuned = [
            _tuned(data, category, self.wishes, tell)
            for category in _categories(data, labels, self.wishes)
        ]
        spans = episodes(labels)
        calibrations = [calibrate(data.columns, one.category, spans) for one in tuned]
        text = policy_text(tuned, calibrations, self.wishes, epoch)
        _write(self.output, text)
        kept = json.dumps(calibration_json(calibrations), indent=2) + "\n"
        _write(self.output.with_suffix(".calibration.json"), kept)
        if self.html is not None:
            _write(self.html, tune_report(tuned, calibrations, text))
        if self.as_json:
            said = tuned_json(tuned, calibrations) | {"policy": str(self.output)}
            sys.stdout.write(json.dumps(said) + "\n")
        else:
            show_tuned(tuned, calibrations, self.output)


# Judges nothing: of the recordings only the samples count.
_NOTHING = Policy("none", Selector(), (), None, stale_after_s=10.0)


def _categories(data: Data, labels: list[Label], wishes: Wishes) -> list[Category]:
    """Those that were labelled and that the model scores; enough of each."""
    labelled = {label.category for label in labels} - {Category.SAFE}
    known = [c for c in Category if c in labelled and c in data.columns.scores]
    if not known:
        raise ConfigError(
            "no category is both labelled and scored by the recorded model; labelled: "
            f"{', '.join(sorted(labelled)) or 'none'}; scored: "
            f"{', '.join(sorted(data.columns.scores)) or 'none'}"
        )
    faults: list[str] = []
    for category in known:
        try:
            require_enough(data, category, wishes)
        except ConfigError as exc:
            faults += exc.faults
    if faults:
        raise ConfigError(*faults)
    return known


def _tuned(data: Data, category: Category, wishes: Wishes, tell: Tell) -> Tuned:
    def tried(done: int, of: int) -> None:
        tell(category, float(done), float(of), done)

    return tune(data, category, wishes, tried)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}") from exc
