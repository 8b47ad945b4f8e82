"""One thing that happened to a stream, as it is recorded: numbers, never pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policyset import Policy
from sidecar.decide.state import Step
from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    Scores,
    Stream,
    UnknownReason,
    VerdictState,
)


class EntryKind(StrEnum):
    """What happened; the values stand in the files."""

    BEGAN = "began"  # a watch begins: nothing is known of the stream
    POLICY = "policy"  # it goes on under another policy
    SAMPLE = "sample"  # a sample was classified
    UNSEEN = "unseen"  # a sample, or the stream, could not be looked at
    TICK = "tick"  # time, or a shadow policy, led to something
    CLEARED = "cleared"  # a person cleared the case
    ENDED = "ended"  # the watch is over


@dataclass(frozen=True, slots=True)
class Decision:
    """An action as it was decided; `score` and `category` are None if UNKNOWN led here.

    Attributes:
        action: What was asked for.
        rule: By which rule of `policy`, whose hash is `policy_hash`.
        policy: Its name.
        policy_hash: `sha256:…`.
        category: Whose score.
        score: Of the newest sample it rests on.
        dry_run: Nobody was to act on it.
    """

    action: ActionKind
    rule: str
    policy: str
    policy_hash: str
    category: Category | None = None
    score: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, and what it led to.

    Attributes:
        kind: What.
        stream: To whom; its `publisher` is not recorded.
        at: When the policy was told, seconds.
        verdict: What was known of the stream afterwards.
        reason: Set exactly when `verdict` is UNKNOWN.
        scores: Of a SAMPLE; their `captured_at` is on the same clock as `at`.
        decisions: What was decided then.
        shadow: What a shadow policy would have decided; it was not sent.
        session: Which run of a sidecar: between two nothing was remembered.
    """

    kind: EntryKind
    stream: Stream
    at: float
    verdict: VerdictState = VerdictState.UNKNOWN
    reason: UnknownReason | None = None
    scores: Scores | None = None
    decisions: tuple[Decision, ...] = ()
    shadow: tuple[Decision, ...] = ()
    session: int = 0


class Notebook(Onlooker):
    """Writes down what the pipeline tells; ticks without news are left out.

    Args:
        take: Takes each entry, on the event loop; must not block.
    """

    def __init__(self, take: Callable[[Entry], None]) -> None:
        self._take = take
        self._last: dict[str, tuple[VerdictState, UnknownReason | None]] = {}

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """A watch begins, or goes on under another policy."""
        del policy  # what it decides names it
        reason = UnknownReason.STARTING
        known = self._last.get(stream.id)
        kind = EntryKind.BEGAN if known is None else EntryKind.POLICY
        word = known or (VerdictState.UNKNOWN, reason)
        self._last[stream.id] = word
        self._take(Entry(kind, stream, now, *word))

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """A sample was classified."""
        del policy
        if step.verdict.reason is UnknownReason.ENGINE_ERROR:  # they were no scores
            self._note(EntryKind.UNSEEN, stream, step, now)
        else:
            self._note(EntryKind.SAMPLE, stream, step, now, scores)

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """A sample, or the whole stream, could not be looked at."""
        del policy, reason  # the verdict gives the same
        self._note(EntryKind.UNSEEN, stream, step, now)

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Noted only if there is news."""
        del policy
        word = (step.verdict.state, step.verdict.reason)
        if step.actions or word != self._last.get(stream.id):
            self._note(EntryKind.TICK, stream, step, now)

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """A person cleared the case."""
        del policy
        self._note(EntryKind.CLEARED, stream, step, now)

    def would(self, stream: Stream, action: Action) -> None:
        """A shadow policy would have done this; told after what led to it."""
        word = self._last.get(stream.id, (VerdictState.UNKNOWN, UnknownReason.STARTING))
        self._take(
            Entry(
                EntryKind.TICK,
                stream,
                action.decided_at,
                *word,
                shadow=(decision_of(action),),
            )
        )

    def ended(self, stream: Stream, now: float) -> None:
        """The watch is over."""
        word = self._last.pop(stream.id, (VerdictState.UNKNOWN, UnknownReason.STARTING))
        self._take(Entry(EntryKind.ENDED, stream, now, *word))

    def _note(
        self,
        kind: EntryKind,
        stream: Stream,
        step: Step,
        now: float,
        scores: Scores | None = None,
    ) -> None:
        word = (step.verdict.state, step.verdict.reason)
        self._last[stream.id] = word
        decisions = tuple(map(decision_of, step.actions))
        self._take(Entry(kind, stream, now, *word, scores, decisions))


def decision_of(action: Action) -> Decision:
    """The part of an action that is recorded."""
    return Decision(
        action=action.kind,
        rule=action.policy.rule,
        policy=action.policy.name,
        policy_hash=action.policy.hash,
        category=action.reason.category,
        score=action.reason.score,
        dry_run=action.dry_run,
    )
