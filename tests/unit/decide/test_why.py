"""Why a rule acted or not, in one word that is true."""

from dataclasses import replace

from sidecar.decide.why import RuleStanding, Standing, standings
from tests.fakes.policy_run import FLAG, POLICY, TAKEDOWN, Run


def of(run: Run, at: float) -> dict[str, RuleStanding]:
    """By rule."""
    return {one.rule.name: one for one in standings(run.policy, run.state, at)}


def test_each_word_on_the_way_to_a_takedown() -> None:
    """Nothing seen, below, too few, acted: with the numbers behind it."""
    run = Run(POLICY)
    assert of(run, 0.0)["flag"].standing is Standing.UNSEEN
    assert of(run, 0.0)["flag"].highest is None
    run.saw(1.0, 0.7)
    assert of(run, 1.0)["flag"].standing is Standing.BELOW
    assert of(run, 1.0)["flag"].highest == 0.7
    run.saw(2.0, 0.9)
    found = of(run, 2.2)
    assert found["flag"].standing is Standing.ACTED
    assert found["flag"].fired_at == 2.1
    assert round(found["flag"].cooldown_s, 6) == 59.9
    assert found["takedown"].standing is Standing.TOO_FEW
    assert found["takedown"].hits == 1
    run.saw(3.0, 0.9)
    run.saw(4.0, 0.9)
    assert of(run, 4.0)["takedown"].standing is Standing.ACTED
    assert of(run, 4.0)["takedown"].hits == 3


def test_entered_anew_within_the_cooldown() -> None:
    """It waits; once over, it needs a hit to act."""
    quick = replace(FLAG, of=1)
    run = Run(replace(POLICY, rules=(quick, replace(TAKEDOWN, hits=2))))
    for at, score in ((1.0, 0.9), (2.0, 0.1), (3.0, 0.9), (4.0, 0.6)):
        run.saw(at, score)
    assert of(run, 4.0)["flag"].standing is Standing.COOLING
    assert of(run, 70.0)["flag"].standing is Standing.HELD
