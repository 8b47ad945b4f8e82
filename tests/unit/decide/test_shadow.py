"""Policies in the shadow judge the same news, and only tell."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.shadow import Shadow
from sidecar.domain import Action, SourceKind, Stream, UnknownReason
from tests.fakes.policy_run import CLOSED, FLAG, POLICY, Run, scores

STREAM = Stream("s", SourceKind.WHIP)
MILD = replace(POLICY, name="mild", rules=(replace(FLAG, enter=0.6),))


class Beside:
    """A live policy with a shadow beside it."""

    def __init__(self, live: Policy, shadow: Policy) -> None:
        self.told: list[Action] = []
        self.shadow = Shadow(PolicySet((shadow,)), self._tell)
        self.run = Run(live)
        self.shadow.began(STREAM, live, 0.0)

    def _tell(self, stream: Stream, action: Action) -> None:
        assert stream == STREAM
        self.told.append(action)

    def saw(self, at: float, score: float) -> None:
        """A sample, for both."""
        step = self.run.saw(at, score)
        got = scores(at, score)
        self.shadow.scored(STREAM, self.run.policy, got, step, at + 0.1)

    @property
    def rules(self) -> list[str]:
        """What the shadow would have done."""
        return [action.policy.rule for action in self.told]


def test_a_shadow_acts_by_its_own_thresholds() -> None:
    """The live policy does nothing; the shadow tells, under its own name."""
    beside = Beside(POLICY, MILD)
    beside.saw(1.0, 0.7)
    assert beside.run.actions == []
    assert beside.rules == ["flag"]
    assert beside.told[0].policy.name == "mild"


@given(
    st.lists(
        st.tuples(st.sampled_from(["saw", "missed", "waited"]), st.floats(0, 1)),
        max_size=30,
    )
)
def test_the_same_policy_in_the_shadow_does_the_same(
    news: list[tuple[str, float]],
) -> None:
    """Whatever happens: the shadow of the live policy is the live policy."""
    beside = Beside(CLOSED, CLOSED)
    for number, (what, score) in enumerate(news, start=1):
        at = number * 7.0
        if what == "saw":
            beside.saw(at, score)
        elif what == "missed":
            step = beside.run.missed(at, UnknownReason.STALE)
            beside.shadow.unseen(STREAM, CLOSED, UnknownReason.STALE, step, at)
        else:
            beside.shadow.ticked(STREAM, CLOSED, beside.run.waited(at), at)
    assert beside.told == beside.run.actions


def test_who_joins_late_brings_its_past() -> None:
    """Two hits seen by the live policy count for the shadow's three."""
    beside = Beside(POLICY, POLICY)
    beside.shadow.ended(STREAM, 0.0)
    for at in (1.0, 2.0):
        beside.run.saw(at, 0.9)
    beside.shadow.join(STREAM, POLICY, beside.run.state, 2.5)
    beside.saw(3.0, 0.9)
    assert beside.rules == ["takedown"]


def test_a_reversal_starts_the_shadows_count_anew() -> None:
    """It is a person's, and so not the shadow's to tell."""
    beside = Beside(POLICY, POLICY)
    beside.saw(1.0, 0.9)
    beside.shadow.cleared(STREAM, POLICY, beside.run.reversed(2.0), 2.0)
    beside.saw(3.0, 0.9)
    assert beside.rules == ["flag"]


def test_streams_that_are_not_meant_are_not_judged() -> None:
    """Nor is anything kept of those that have ended."""
    others = replace(MILD, match=Selector(ids=("other",)))
    beside = Beside(POLICY, others)
    beside.saw(1.0, 0.9)
    step = beside.run.waited(2.0)
    beside.shadow.ticked(STREAM, POLICY, step, 2.0)
    beside.shadow.unseen(STREAM, POLICY, UnknownReason.STALE, step, 2.0)
    beside.shadow.cleared(STREAM, POLICY, step, 2.0)
    beside.shadow.join(STREAM, POLICY, beside.run.state, 2.0)
    beside.shadow.ended(STREAM, 3.0)
    assert beside.rules == []
