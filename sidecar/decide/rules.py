"""Rules: what the scores must do, and what follows."""

import math
from dataclasses import dataclass

from sidecar.domain import ActionKind, Category

MAX_OF = 1000  # bounds what is kept for a stream: 1,000 samples are 17 min at 1 fps
_CUTS = (ActionKind.TAKEDOWN, ActionKind.INTERRUPT)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rung on one category: k of n samples with hysteresis and a cooldown.

    A sample is a hit if its score is `enter` or more. The rule is *entered* when
    `hits` of the last `of` samples, all within `within_s`, are hits. It is *left* by a
    sample below `exit` after which fewer than `hits` of the last `of` samples are at
    `exit` or more: scores between the two thresholds change nothing.

    It *fires* once on entering, and again only after it was left and entered anew. An
    entering within `cooldown_s` of the last firing fires as soon as the cooldown is
    over, if hits still come. A stream that was away may be fired upon again as well:
    `cooldown_s` is also how soon a publisher who comes back can be taken down again.

    Attributes:
        name: Unique within its policy.
        category: Whose scores.
        action: What is asked for.
        enter: Score, 0 < exit ≤ enter ≤ 1.
        exit: Score.
        hits: k, at least 1.
        of: n, at least `hits`.
        within_s: How far apart the hits may have been captured.
        cooldown_s: Least time between two firings.
        expires_s: How long the action is worth delivering.
        require_enforced: Keep it in the outbox until an enforcer says `enforced`.
        allow_single_frame: Without it, `hits=1` may not cut a stream's video.

    Raises:
        ValueError: The numbers disagree.
    """

    name: str
    category: Category
    action: ActionKind
    enter: float
    exit: float
    hits: int
    of: int
    within_s: float
    cooldown_s: float
    expires_s: float = 3600.0
    require_enforced: bool = False
    allow_single_frame: bool = False

    def __post_init__(self) -> None:
        _require(bool(self.name), "a rule needs a name")
        _require(self.category is not Category.SAFE, "no rule acts on 'safe'")
        _require_action(self.action)
        _require(
            0 < self.exit <= self.enter <= 1,
            f"0 < exit <= enter <= 1 must hold, got {self.exit} and {self.enter}",
        )
        _require(
            1 <= self.hits <= self.of <= MAX_OF,
            f"1 <= hits <= of <= {MAX_OF} must hold, got {self.hits} and {self.of}",
        )
        _require_span("within_s", self.within_s)
        _require_span("cooldown_s", self.cooldown_s, zero=True)
        _require_span("expires_s", self.expires_s)
        _require(
            self.hits > 1 or self.allow_single_frame or self.action not in _CUTS,
            f"one frame must not lead to '{self.action}': ask for 2 or more hits, "
            "or say allow_single_frame",
        )


@dataclass(frozen=True, slots=True)
class UnknownRule:
    """What not having been seen leads to.

    Fires once in an UNKNOWN episode, `after_s` after its start and not within
    `cooldown_s` of the last firing. An episode lasts until the next scored sample,
    whatever its reasons.

    Attributes:
        after_s: How long a stream may stay unseen.
        action: What is asked for (fail closed); None: nothing but the visible
            verdict (fail open).
        name: What the action gives as its rule.
        cooldown_s: Least time between two firings.

    Raises:
        ValueError: The numbers disagree.
    """

    after_s: float
    action: ActionKind | None = None
    name: str = "unknown"
    cooldown_s: float = 300.0

    def __post_init__(self) -> None:
        _require(bool(self.name), "a rule needs a name")
        if self.action is not None:
            _require_action(self.action)
        _require_span("after_s", self.after_s, zero=True)
        _require_span("cooldown_s", self.cooldown_s, zero=True)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(message)


def _require_action(action: ActionKind) -> None:
    _require(
        action is not ActionKind.REVERSE_TAKEDOWN,
        "'reverse_takedown' is a person's act, not a rule's",
    )


def _require_span(name: str, seconds: float, *, zero: bool = False) -> None:
    _require(
        math.isfinite(seconds) and (seconds > 0 or (zero and seconds == 0)),
        f"{name} must be a finite time {'of 0 or more' if zero else 'above 0'}, "
        f"got {seconds}",
    )
