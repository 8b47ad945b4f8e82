"""Twice a second: how the parts are, for readiness and for the bus."""

import asyncio
from collections.abc import Callable
from typing import Final

from sidecar.app.canary import Canary
from sidecar.app.changeover import Changeover
from sidecar.app.engines import EngineBoard
from sidecar.app.reload import Reloader
from sidecar.publish.mqtt import MqttPublisher
from sidecar.publish.owed import Owed
from sidecar.recording.recorder import Recorder
from sidecar.web.health import Health

BEAT_S: Final = 0.5
_OWED_S: Final = 5.0
_FAULTS: Final = (
    "broker_unavailable",
    "broker_refuses",
    "outbox_full",
    "outbox_failing",
    "engine_failing",
    "canary_missed",
    "workers_failing",
)


class Heartbeat:
    """Carries the parts' word to `/readyz` and to the retained status message.

    Attributes:
        canary: Whose word is carried along; None if there is none.
        board: What the models run on is kept up there; None: nowhere.
    """

    canary: Canary | None = None
    board: EngineBoard | None = None

    def __init__(
        self,
        publisher: MqttPublisher,
        changeover: Changeover,
        owed: Owed,
        health: Health,
        reloader: Reloader | None,
        recorder: Recorder | None = None,
    ) -> None:
        self._publisher = publisher
        self._changeover = changeover
        self._owed = owed
        self._health = health
        self._reloader = reloader
        self._recorder = recorder
        self._said: tuple[str, ...] | None = None
        self._stopping = False
        self._fails: dict[str, Callable[[], bool]] = {}
        health.report("sidecar", ok=False, reason="starting")

    def watch(self, fault: str, fails: Callable[[], bool]) -> None:
        """Asks at each beat whether there is that fault, one of `_FAULTS`."""
        self._fails[fault] = fails

    def started(self) -> None:
        """The streams are being watched."""
        self._health.report("sidecar", ok=True)
        self.beat()

    def stopping(self) -> None:
        """No more streams are taken."""
        self._stopping = True
        self._health.report("sidecar", ok=False, reason="draining")
        self._publisher.set_status("draining")

    async def run(self) -> None:
        """Beats for ever."""
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._stopping:
                self.beat()

    def beat(self) -> None:
        """One look at all parts."""
        if self.board is not None:
            self.board.look()
        found = set(self._publisher.health().problems)
        if self.canary is not None and self.canary.fault is not None:
            found.add("canary_missed")
        if self._changeover.roster.failing:
            found.add("engine_failing")
        if self._owed.oldest_s > _OWED_S:  # a disk that hangs says nothing
            found.add("outbox_failing")
        found |= {fault for fault, fails in self._fails.items() if fails()}
        for fault in _FAULTS:
            component = fault.split("_", 1)[0]
            if fault in found or not _same(component, found):
                self._health.report(
                    component, ok=fault not in found, reason=fault.split("_", 1)[1]
                )
        found |= self._shown()
        # whoever hears the status has a broker
        reasons = tuple(sorted(found - {"broker_unavailable"}))
        if reasons != self._said:
            self._said = reasons
            self._publisher.set_status("degraded" if reasons else "online", reasons)

    def _shown(self) -> set[str]:
        """What is shown, but does not make the sidecar unready."""
        faults = {
            "configuration_refused": self._reloader and self._reloader.fault,
            "model_refused": self._changeover.fault,
            "recording_failing": self._recorder and self._recorder.fault,
        }
        return {word for word, fault in faults.items() if fault is not None}


def _same(component: str, found: set[str]) -> bool:
    """Whether another fault of the same component was found."""
    return any(fault.startswith(component + "_") for fault in found)
