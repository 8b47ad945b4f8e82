"""Pure: what stands between the sidecar and being alive and ready."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sidecar.domain import EngineFacts  # noqa: TC001 as everywhere

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
STARTING: Final = "starting"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a component is not ready.

    Attributes:
        component: Who, for instance `broker`; a word of ours, never a stream's id.
        reason: A code out of a closed set, for instance `disconnected`.
        detail: A sentence for the operator; shown to authorised callers only.
    """

    component: str
    reason: str
    detail: str = ""


class Health:
    """Collects what the components report; keeps the newest word of each.

    Args:
        expected: Components that have to report before the sidecar is ready.

    Attributes:
        engines: What the models run on.
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self._faults: dict[str, Fault] = {}
        self._alive: dict[str, Callable[[], bool]] = {}
        self.engines: tuple[EngineFacts, ...] = ()
        for component in expected:
            self.report(component, ok=False, reason=STARTING)

    def report(
        self, component: str, *, ok: bool, reason: str = "", detail: str = ""
    ) -> None:
        """Notes how `component` is; unless `ok`, `reason` is a code (`a-z0-9_`)."""
        _require_code(component)
        if ok:
            self._faults.pop(component, None)
            return
        _require_code(reason)
        self._faults[component] = Fault(component, reason, detail)

    def watch(self, component: str, alive: Callable[[], bool]) -> None:
        """Asks `alive` at each look: false means the process should be restarted."""
        _require_code(component)
        self._alive[component] = alive

    @property
    def dead(self) -> tuple[str, ...]:
        """The watched components that do not live any more."""
        return tuple(sorted(name for name, alive in self._alive.items() if not alive()))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What keeps the sidecar from being ready, by component; the dead among it."""
        dead = {name: Fault(name, "dead") for name in self.dead}
        found = {**self._faults, **dead}
        return tuple(found[name] for name in sorted(found))

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.faults


def _require_code(text: str) -> None:
    if not _CODE.fullmatch(text):
        raise ValueError(f"{text!r} is not a code of a-z, 0-9 and _")
