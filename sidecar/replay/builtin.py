"""The policy of the demo, for every test card: what replay judges by if not told."""

from typing import Any

from sidecar.config import Config
from sidecar.domain import Category
from sidecar.testcard.cards import CATEGORIES


def builtin() -> Config:
    """The test card model, a look a second, a flag and a takedown a category."""
    rules = [
        rule
        for category in CATEGORIES
        if category is not Category.SAFE
        for rule in _rules(category)
    ]
    return Config.model_validate(
        {
            "policies": [{"name": "demo", "rules": rules}],
            "mqtt": {"host": "none"},
            "outbox": {"path": "none"},
        }
    )


def _rules(category: Category) -> list[dict[str, Any]]:
    shared = {"category": category, "exit": 0.3, "of": 3, "within_s": 4}
    flag = {"action": "flag", "enter": 0.6, "hits": 1}
    cut = {"action": "takedown", "enter": 0.85, "hits": 2}
    return [
        shared | rung | {"name": f"{rung['action']}-{category}"} for rung in (flag, cut)
    ]
