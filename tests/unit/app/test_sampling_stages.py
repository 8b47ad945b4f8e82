"""Sampling keys of a configuration, as the samplers get them."""

from sidecar.app.stages import budget_of, sampler_settings
from sidecar.config import Config
from sidecar.config.schema import SamplingConfig, SamplingOverride

RULE = {
    "name": "look",
    "category": "drugs",
    "action": "flag",
    "enter": 0.8,
    "exit": 0.5,
    "hits": 2,
    "of": 3,
    "within_s": 8,
}
LEAST = {
    "policies": [{"name": "p", "rules": [RULE]}],
    "mqtt": {"host": "127.0.0.1"},
    "outbox": {"path": "outbox.sqlite"},
}


def test_a_budget_is_there_if_it_is_asked_for() -> None:
    """By default each stream samples as it likes."""
    assert budget_of(Config.model_validate(LEAST)) is None
    limited = {**LEAST, "budget": {"samples_per_s": 9}}
    assert budget_of(Config.model_validate(limited)) is not None


def test_audits_are_on_and_each_stream_may_have_its_own() -> None:
    """0 turns them off, of one stream as well."""
    base = SamplingConfig()
    assert sampler_settings(base).audit.every_s == 120.0
    never = SamplingOverride(audit_every_s=0).over(base)
    assert sampler_settings(never).audit.every_s is None
    often = SamplingOverride(audit_every_s=9, audit_stretch_s=3).over(base)
    assert sampler_settings(often).audit.every_s == 9
    assert sampler_settings(often).audit.stretch_s == 3
