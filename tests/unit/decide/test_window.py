"""k of n with hysteresis: when a rule is entered, left and fires."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.rules import Rule
from sidecar.decide.window import Window, cooled, fired, fires, hits, inherit, look
from sidecar.domain import ActionKind, Category, Evidence

RULE = Rule(
    "explicit",
    Category.SEXUAL_EXPLICIT,
    ActionKind.TAKEDOWN,
    enter=0.8,
    exit=0.5,
    hits=2,
    of=4,
    within_s=10.0,
    cooldown_s=60.0,
)
SCORES = st.lists(
    st.sampled_from([0.0, 0.3, 0.49, 0.5, 0.6, 0.79, 0.8, 0.9, 1.0]), max_size=30
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any k of n, any within."""
    of = draw(st.integers(1, 6))
    return replace(
        RULE,
        of=of,
        hits=draw(st.integers(1, of)),
        within_s=draw(st.sampled_from([0.5, 1.0, 2.5, 100.0])),
        allow_single_frame=True,
    )


def run(rule: Rule, scores: list[float], window: Window | None = None) -> Window:
    """The window after one sample a second."""
    window = window or Window()
    start = window.seen[-1].captured_at + 1 if window.seen else 0.0
    for i, score in enumerate(scores):
        window = look(rule, window, Evidence(start + i, score))
    return window


def test_it_enters_on_k_of_n() -> None:
    """One hit is not enough, the second within the last n samples is."""
    assert not run(RULE, [0.9]).entered
    assert run(RULE, [0.9, 0.1, 0.1, 0.8]).entered
    assert not run(RULE, [0.9, 0.1, 0.1, 0.1, 0.9]).entered


def test_hits_too_far_apart_do_not_count_together() -> None:
    """`within_s` is measured between captures, its bound included."""
    near = Window(seen=(Evidence(0.0, 0.9),))
    assert look(RULE, near, Evidence(10.0, 0.9)).entered
    assert not look(RULE, near, Evidence(10.1, 0.9)).entered


def test_it_leaves_when_too_few_samples_hold() -> None:
    """Entered by 2 of 4, it is left once fewer than 2 of the last 4 are at `exit`."""
    window = run(RULE, [0.9, 0.9])
    assert run(RULE, [0.1, 0.1], window).entered
    assert not run(RULE, [0.1, 0.1, 0.1], window).entered


def test_a_gap_does_not_clear() -> None:
    """After hours without samples a high score does not leave the rule."""
    window = run(RULE, [0.9, 0.9])
    assert look(RULE, window, Evidence(9999.0, 0.9)).entered
    short = Window(seen=(), entered=True)
    assert look(RULE, short, Evidence(0.0, 0.5)).entered
    assert not look(RULE, short, Evidence(0.0, 0.49)).entered


def test_it_fires_once_on_entering() -> None:
    """Not before, not again while entered, again once left and entered anew."""
    assert not fires(RULE, Window(), 0.0)
    assert not fires(RULE, run(RULE, [0.9]), 1.0)
    window = run(RULE, [0.9, 0.9])
    assert fires(RULE, window, 1.0)
    window = fired(window, 1.0)
    window = run(RULE, [0.9], window)
    assert not fires(RULE, window, 999.0)
    window = run(RULE, [0.1, 0.1, 0.1, 0.9, 0.9], window)
    assert fires(RULE, window, 999.0)


def test_an_entering_within_the_cooldown_fires_after_it() -> None:
    """The cooldown delays a firing that is due, it does not swallow it."""
    window = fired(run(RULE, [0.9, 0.9]), 1.0)
    window = run(RULE, [0.1, 0.1, 0.1, 0.9, 0.9], window)
    assert not fires(RULE, window, 60.9)
    assert fires(RULE, window, 61.0)


def test_it_fires_on_a_hit_only() -> None:
    """What is overdue waits for a sample that is itself a hit."""
    window = run(RULE, [0.9, 0.9, 0.6])
    assert window.entered
    assert not fires(RULE, window, 3.0)
    assert fires(RULE, run(RULE, [0.9], window), 4.0)


def test_hits_of_an_empty_window_are_none() -> None:
    """No samples, no hits."""
    assert hits(RULE, Window()) == ()


def test_cooled_counts_from_the_last_firing() -> None:
    """A rule that never fired is cool; the bound is included."""
    assert cooled(None, 60.0, 0.0)
    assert not cooled(10.0, 60.0, 69.9)
    assert cooled(10.0, 60.0, 70.0)


def test_a_changed_rule_inherits_scores() -> None:
    """Samples and being entered pass on; the firing only to the same action."""
    old = fired(run(RULE, [0.9, 0.1, 0.9]), 2.0)
    shorter = replace(RULE, of=2)
    same = inherit(shorter, old, same_action=True)
    assert [sample.score for sample in same.seen] == [0.1, 0.9]
    assert (same.entered, same.armed, same.fired_at) == (True, False, 2.0)
    other = inherit(shorter, old, same_action=False)
    assert (other.entered, other.armed, other.fired_at) == (True, True, None)


@given(rules(), SCORES, SCORES)
def test_a_higher_score_never_clears(
    rule: Rule, scores: list[float], more: list[float]
) -> None:
    """Raising any samples of a run keeps it entered wherever it was."""
    low, high = Window(), Window()
    raised = [
        max(score, more[i]) if i < len(more) else score
        for i, score in enumerate(scores)
    ]
    for i, (a, b) in enumerate(zip(scores, raised, strict=True)):
        low = look(rule, low, Evidence(float(i), a))
        high = look(rule, high, Evidence(float(i), b))
        assert high.entered or not low.entered


@given(rules(), SCORES, SCORES, st.floats(0.0, 500.0))
def test_nothing_flaps_inside_the_band(
    rule: Rule, before: list[float], inside: list[float], gap_s: float
) -> None:
    """Scores in [exit, enter) neither enter nor leave, after whatever gap."""
    window = run(rule, before)
    was = window.entered
    start = len(before) + gap_s
    for i, score in enumerate(inside):
        banded = min(max(score, rule.exit), rule.enter - 0.001)
        window = look(rule, window, Evidence(start + i, banded))
        assert window.entered == was


@given(rules(), SCORES)
def test_only_a_low_sample_leaves_and_only_a_hit_enters(
    rule: Rule, scores: list[float]
) -> None:
    """Every change is explained by the newest sample; the window stays bounded."""
    window = Window()
    for i, score in enumerate(scores):
        was = window.entered
        window = look(rule, window, Evidence(float(i), score))
        assert len(window.seen) <= rule.of
        if window.entered and not was:
            assert score >= rule.enter
            assert len(hits(rule, window)) >= rule.hits
        if was and not window.entered:
            assert score < rule.exit


@given(rules(), SCORES)
def test_enough_low_samples_always_clear(rule: Rule, scores: list[float]) -> None:
    """A verdict ends: `of` samples below `exit` leave any rule."""
    window = run(rule, [*scores, *([0.0] * rule.of)])
    assert not window.entered
    assert window.armed
