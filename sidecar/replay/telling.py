"""What was asked to be told of a replay, and where to."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sidecar.errors import ConfigError
from sidecar.recording.whatif import Fired
from sidecar.replay.demands import Verdict, judge, parse_demands
from sidecar.replay.display import show, show_demands, show_figures
from sidecar.replay.junit import junit
from sidecar.replay.labels import Label, read_labels
from sidecar.replay.metrics import PREVALENCES, Figures, figures, figures_json
from sidecar.replay.outcome import Outcome
from sidecar.replay.report import report


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options.

    Attributes:
        labels: What was there.
        fail_under: What has to be reached.
        prevalences: For precision; some usual ones if empty.
        junit: A file to write.
        html: A file to write.
        as_json: One JSON object on stdout, no table.

    Raises:
        ConfigError: Figures are asked for without labels, or the demands make no sense.
    """

    labels: Path | None = None
    fail_under: str | None = None
    prevalences: tuple[float, ...] = ()
    junit: Path | None = None
    html: Path | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        wanted = {"--fail-under": self.fail_under, "--junit": self.junit}
        for option, value in wanted.items():
            if value is not None and self.labels is None:
                raise ConfigError(f"{option} needs --labels: what was there?")
        if self.fail_under is not None:
            parse_demands(self.fail_under)

    def tell(self, outcome: Outcome, epoch: datetime) -> bool:
        """Prints and writes it all; whether every demand was met."""
        labels = [] if self.labels is None else read_labels(self.labels, epoch)
        found = None if self.labels is None else _figures(outcome, labels)
        verdicts: list[Verdict] = []
        if found is not None and self.fail_under is not None:
            verdicts = judge(found, parse_demands(self.fail_under))
        self._print(outcome, found, verdicts)
        if self.html is not None:
            text = report(outcome, labels, found, verdicts)
            _write("--html", self.html, text.encode())
        if self.junit is not None and found is not None:
            _write("--junit", self.junit, junit(found, verdicts))
        return all(one.met for one in verdicts)

    def _print(
        self, outcome: Outcome, found: Figures | None, verdicts: Sequence[Verdict]
    ) -> None:
        prevalences = self.prevalences or PREVALENCES
        if self.as_json:
            said = outcome.as_json()
            if found is not None:
                said["figures"] = figures_json(found, prevalences)
                said["demands"] = [
                    {"name": v.name, "wanted": v.wanted, "found": v.found, "met": v.met}
                    for v in verdicts
                ]
            sys.stdout.write(json.dumps(said) + "\n")
            return
        show(outcome)
        if found is not None:
            show_figures(found, prevalences)
            show_demands(verdicts)


def _figures(outcome: Outcome, labels: Sequence[Label]) -> Figures:
    missing = {label.stream for label in labels} - outcome.streams.keys()
    if missing:
        sys.stderr.write(
            f"{len(missing)} labelled streams are not in the input, for instance "
            f"{min(missing)!r}\n"
        )

    def legs_of(one: Fired) -> dict[str, float]:
        return outcome.streams[one.stream].legs.get(one.at, {})

    return figures(
        {name: found.watched_s for name, found in outcome.streams.items()},
        [one for found in outcome.streams.values() for one in found.actions],
        labels,
        outcome.log.snapshot(),
        legs_of,
    )


def _write(option: str, path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise ConfigError(
            f"{option} {path}: cannot be written: {exc.strerror}"
        ) from exc
