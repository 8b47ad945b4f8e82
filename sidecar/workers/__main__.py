"""`python -m sidecar.workers CONTROL MEMORY`: started by the sidecar only.

Not a command of `sidecar`: without the command line's libraries it starts in half the
time, and every second that a worker takes to start is one that its streams are unseen.
"""

import sys
from types import TracebackType

from sidecar import log
from sidecar.malloc import keep_freed_memory
from sidecar.workers.child import run_worker


def _crashed(
    kind: type[BaseException], exc: BaseException, trace: TracebackType | None
) -> None:
    """A bug is one line of the log like any other; the exit code is 1."""
    log.get_logger(__name__).error("crashed", exc_info=(kind, exc, trace))


if __name__ == "__main__":
    log.setup()
    sys.excepthook = _crashed
    keep_freed_memory()
    run_worker(*map(int, sys.argv[1:]))
