"""The audit log off the event loop, and what readiness says of it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sidecar.audit.chain import Deed, Entry
from sidecar.audit.journal import Journal
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.errors import AuditFailed
from sidecar.log import get_logger

log = get_logger(__name__)

Report = Callable[[bool], None]
"""Told whether the last entry reached the disk."""


class JournalDeeds:
    """Deeds for `sidecar.web`, in the journal's file."""

    def __init__(self, journal: Journal, report: Report) -> None:
        self._journal = journal
        self._report = report

    async def note(self, deed: Deed) -> None:
        """Puts it on disk. Raises AuditFailed."""
        try:
            await asyncio.to_thread(self._journal.write, deed)
        except AuditFailed:
            self._report(False)  # noqa: FBT003 the one argument of a callback
            raise
        self._report(True)  # noqa: FBT003

    def recent(self) -> Sequence[Entry]:
        """The last entries, newest first."""
        return self._journal.recent()


def state_dir(config: Config) -> Path:
    """Where the audit log and the like are kept: beside the outbox by default."""
    return config.control.state_dir or config.outbox.path.parent


async def open_deeds(
    config: Config, clock: Clock, stack: AsyncExitStack, report: Report
) -> JournalDeeds:
    """The journal, opened, with the start noted; closed by `stack`.

    Raises:
        ConfigError: Its file is out of reach.
        AuditFailed: The disk takes no entry.
    """
    path = state_dir(config) / f"audit-{config.sidecar}.jsonl"
    journal = await asyncio.to_thread(Journal, path, clock)
    stack.callback(journal.close)
    seq, head = journal.head
    log.info("audit_checkpoint", file=str(path), entries=seq, head=head)
    deeds = JournalDeeds(journal, report)
    await deeds.note(Deed("sidecar", "sidecar", "start", config.sidecar, {}))
    return deeds
