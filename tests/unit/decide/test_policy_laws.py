"""What holds after any news in any order."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.policy import Step, carry
from sidecar.domain import Action, UnknownReason, VerdictState
from tests.fakes.policy_run import CLOSED, Run

NEWS = st.lists(
    st.one_of(
        st.tuples(st.just("saw"), st.sampled_from([0.0, 0.4, 0.6, 0.8, 1.0])),
        st.tuples(st.just("missed"), st.sampled_from(list(UnknownReason))),
        st.tuples(st.just("waited"), st.none()),
        st.tuples(st.just("reversed"), st.none()),
    ),
    max_size=40,
)
GAPS = st.lists(st.sampled_from([0.2, 1.0, 5.0, 12.0, 70.0]), max_size=40)


def told(run: Run, now: float, kind: str, what: object) -> Step:
    """Tells `run` one piece of news."""
    if isinstance(what, float):
        return run.saw(now, what, late=0.0)
    if isinstance(what, UnknownReason):
        return run.missed(now, what)
    return run.waited(now) if kind == "waited" else run.reversed(now)


@given(NEWS, GAPS)
def test_the_laws_of_every_step(
    news: list[tuple[str, object]], gaps: list[float]
) -> None:
    """What holds after any news in any order.

    UNKNOWN iff a reason; VIOLATING iff categories; time never falls; the state is
    bounded; an action rests on enough hits at `enter`, and respects its cooldown.
    """
    run, now = Run(CLOSED), 0.0
    last_fired: dict[str, float] = {}
    for (kind, what), gap in zip(news, gaps, strict=False):
        now += gap
        before = run.state.verdict
        step = told(run, now, kind, what)
        verdict = step.verdict
        assert (verdict.state is VerdictState.UNKNOWN) == (verdict.reason is not None)
        assert (verdict.state is VerdictState.VIOLATING) == bool(verdict.categories)
        assert before.since <= verdict.since <= now
        assert (before.seen_at or 0.0) <= (verdict.seen_at or 0.0)
        assert all(len(window.seen) <= 5 for window in step.state.windows)
        for action in step.actions:
            check_action(action, last_fired)


def check_action(action: Action, last_fired: dict[str, float]) -> None:
    """The laws of one action."""
    name = action.policy.rule
    if name in {"flag", "takedown"}:
        needed = {"flag": 1, "takedown": 3}[name]
        assert action.reason.hits >= needed
        assert len(action.evidence) >= needed
        assert all(evidence.score >= 0.8 for evidence in action.evidence)
        assert action.reason.score is not None
        assert action.reason.score >= 0.8
    if name in last_fired and name != "reverse":
        cooldown_s = 300.0 if name == "unknown" else 60.0
        assert action.decided_at - last_fired[name] >= cooldown_s
    last_fired[name] = action.decided_at


@given(NEWS, GAPS)
def test_no_reload_makes_a_verdict_flap(
    news: list[tuple[str, object]], gaps: list[float]
) -> None:
    """Reloading an equal policy after every step leads to the same actions."""
    plain, reloaded, now = Run(CLOSED), Run(CLOSED), 0.0
    for (kind, what), gap in zip(news, gaps, strict=False):
        now += gap
        told(plain, now, kind, what)
        told(reloaded, now, kind, what)
        reloaded.state = carry(CLOSED, replace(CLOSED), reloaded.state, now)
        assert reloaded.state == plain.state
    assert reloaded.actions == plain.actions
