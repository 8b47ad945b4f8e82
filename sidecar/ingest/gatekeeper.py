"""Keeps one stream's door as its gate says: in time, counted, and told to the path."""

import asyncio
from typing import Protocol

from sidecar.clock import Clock
from sidecar.ingest.gate import Gate
from sidecar.stats import Stats


class Way(Protocol):
    """What is opened and closed; `door.Door` is the real one."""

    def close(self) -> bool:
        """Keeps media out; whether the kernel does it for us."""

    def open(self) -> None:
        """Lets media in."""


class Listener(Protocol):
    """Who must know that packets are missing on purpose."""

    def interrupted(self) -> None:
        """From the packet before on, until `resumed`, none comes."""

    def resumed(self, now: float) -> None:
        """Packets can come again."""


class Gatekeeper:
    """The gate of one stream, at work.

    Args:
        gate: Decides.
        way: Opened and closed accordingly.
        listener: Told of it.
        clock: Of the instants given.
        stats: Counts openings and the time between.
    """

    def __init__(
        self, gate: Gate, way: Way, listener: Listener, clock: Clock, stats: Stats
    ) -> None:
        self._gate = gate
        self._way = way
        self._listener = listener
        self._clock = clock
        self._openings = stats.gate_openings
        self._unaided = stats.gate_unaided
        self._closed_seconds = stats.gate_closed_seconds
        self._closed_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def closed(self) -> bool:
        """Whether media is kept out."""
        return self._closed_at is not None

    @property
    def heard_any(self) -> bool:
        """Whether a packet came through since the gate opened."""
        return self._gate.heard_any

    def rest(self, until: float) -> None:
        """Nothing is needed before `until`."""
        now = self._clock.monotonic()
        self._gate.rest(until, now)
        self._follow(now)

    def open(self) -> None:
        """Media is needed from now on, until the next `rest`."""
        self.rest(float("-inf"))

    def heard(self, sequence: int, now: float) -> None:
        """An authenticated media packet came through."""
        self._gate.heard(sequence, now)
        if self._gate.closed:
            self._follow(now)

    def renumbered(self) -> None:
        """Another sender."""
        self._gate.renumbered()

    def reported(self, packets: int, now: float) -> None:
        """The sender says how many packets it has sent."""
        self._gate.reported(packets, now)
        self._follow(now)

    def stop(self) -> None:
        """The stream has ended: lets go of the timer; the sockets are others'."""
        self._stopped = True
        self._cancel()
        if self._closed_at is not None:
            self._account(self._clock.monotonic(), self._closed_at)

    def _follow(self, now: float) -> None:
        """Makes the door what the gate says."""
        if self._stopped:
            return
        self._cancel()
        if not self._gate.closed:
            if self._closed_at is not None:
                self._open(now, self._closed_at)
            return
        if self._closed_at is None:
            self._closed_at = now
            if not self._way.close():
                self._unaided.inc()
            self._listener.interrupted()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._gate.opens_at - now), self._look)

    def _open(self, now: float, closed_at: float) -> None:
        self._way.open()
        self._listener.resumed(now)
        self._account(now, closed_at)
        self._openings.inc()

    def _account(self, now: float, closed_at: float) -> None:
        self._closed_seconds.inc(max(0.0, now - closed_at))
        self._closed_at = None

    def _look(self) -> None:
        """The timer: opens, or waits on if it was early."""
        self._timer = None
        now = self._clock.monotonic()
        self._gate.look(now)
        self._follow(now)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
