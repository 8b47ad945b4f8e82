"""A publisher's keyframes on a simulated clock."""

from dataclasses import dataclass, field

from sidecar.sample.keyframes import KeyframePlanner

STEP_S = 0.05


@dataclass
class Sender:
    """A publisher and its server on a simulated clock.

    Attributes:
        planner: Under test.
        natural_s: Period of keyframes that come by themselves; None: the first only.
        answer_s: Delay until a request is answered; None: ignored.
    """

    planner: KeyframePlanner
    natural_s: float | None = None
    answer_s: float | None = 0.1
    now: float = 0.0
    asked: list[float] = field(default_factory=list)
    keyframes: list[float] = field(default_factory=list)
    all_s: float = 0.0
    _next: float = 0.0
    _answer_at: float | None = None

    def run(self, seconds: float, interval_s: float) -> None:
        """Lets time pass while samples are due every `interval_s`."""
        end = self.now + seconds
        while self.now < end:
            self._send()
            plan = self.planner.decide(self.now, interval_s)
            self.all_s += STEP_S if plan.all else 0.0
            if plan.request_keyframe:
                self.asked.append(self.now)
                if self.answer_s is not None and self._answer_at is None:
                    self._answer_at = self.now + self.answer_s
            self.now += STEP_S

    def _send(self) -> None:
        due = self.now >= self._next
        answered = self._answer_at is not None and self.now >= self._answer_at
        if answered:
            self._answer_at = None
        if due:
            self._next = self.now + (self.natural_s or 1e9)
        if due or answered:
            self.keyframes.append(self.now)
            self.planner.observe_keyframe(self.now)

    def is_all(self) -> bool:
        """Whether everything is decoded at present."""
        return self.planner.decide(self.now, self.planner._interval_s).all
