"""What people decided and a restart must not undo: pauses, labels, the shadow."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sidecar.config.policies import PolicyConfig
from sidecar.decide.policyset import PolicySet
from sidecar.errors import AuditFailed
from sidecar.log import get_logger
from sidecar.oversight.outcomes import HEADER, Label, to_row
from sidecar.oversight.pauses import Pause

log = get_logger(__name__)


class Keepsakes:
    """Three small files, each replaced whole. Blocks: call it off the loop.

    Args:
        folder: Their folder; made for the owner only.
        name: Of the sidecar, so that two can share a folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._pauses = folder / f"pauses-{name}.json"
        self._labels = folder / f"labels-{name}.csv"
        self._shadow = folder / f"shadow-{name}.json"

    @property
    def labels_file(self) -> Path:
        """For `sidecar replay --labels` and `sidecar tune`."""
        return self._labels

    def pauses(self) -> Sequence[Pause]:
        """As they were kept; a file that is not as written is told, and empty."""
        try:
            values = json.loads(self._pauses.read_bytes())
            return [_pause_of(value) for value in values]
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as exc:
            log.error("pauses_unreadable", file=str(self._pauses), error=str(exc))
            return ()

    def keep_pauses(self, pauses: Sequence[Pause]) -> None:
        """Writes all of them. Raises AuditFailed."""
        text = json.dumps([asdict(pause) for pause in pauses], indent=1)
        _replace(self._pauses, text + "\n")

    def shadow(self) -> Sequence[PolicyConfig]:
        """What was being tried; a file that is not as written is told, and empty."""
        try:
            values = json.loads(self._shadow.read_bytes())
            found = [PolicyConfig.model_validate(value) for value in values]
            PolicySet(tuple(policy.to_policy() for policy in found))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as exc:
            log.error("shadow_unreadable", file=str(self._shadow), error=str(exc))
            return ()
        return found

    def keep_shadow(self, policies: Sequence[PolicyConfig]) -> None:
        """Writes it; none: the trial is over. Raises AuditFailed."""
        plain = [policy.model_dump(mode="json") for policy in policies]
        _replace(self._shadow, json.dumps(plain, indent=1) + "\n")

    def keep_label(self, label: Label) -> None:
        """Adds a label; an earlier one of the same stretch gives way.

        Raises:
            AuditFailed: The disk does not take it.
        """
        row = to_row(label)
        mine = next(csv.reader([row]))[:3]
        kept = [
            line for line in self._lines() if next(csv.reader([line]), [])[:3] != mine
        ]
        _replace(self._labels, "".join([*kept, row]))

    def _lines(self) -> list[str]:
        try:
            return self._labels.read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return [HEADER]
        except OSError as exc:
            raise AuditFailed(f"{self._labels}: {exc.strerror}") from exc


def _pause_of(value: Any) -> Pause:  # noqa: ANN401 JSON
    return Pause(
        stream_id=str(value["stream_id"]),
        until=float(value["until"]),
        by=str(value["by"]),
        reason=str(value["reason"]),
    )


def _replace(path: Path, text: str) -> None:
    """The whole new file or the whole old one, whatever happens."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(file, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
    except OSError as exc:
        raise AuditFailed(f"{path}: {exc.strerror}") from exc
