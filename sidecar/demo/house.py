"""The demo's files: a configuration as an operator would write it, in a folder."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sidecar.config import Config, load
from sidecar.domain import Category


@dataclass(frozen=True, slots=True)
class DemoHouse:
    """Where the demo lives for as long as it runs.

    Attributes:
        path: The configuration file.
        config: What stands in it.
        token: The operator's, made for this run.
    """

    path: Path
    config: Config
    token: str

    def page(self, port: int) -> str:
        """The page's address; what follows `#` never leaves the browser."""
        return f"http://127.0.0.1:{port}/#login={self.token}"


def demo_house(category: Category, host: str, port: int, folder: Path) -> DemoHouse:
    """Writes the files: WHIP push, the test card model, one quick policy, a token."""
    token = secrets.token_hex(16)
    (folder / "token").write_text(token)
    (folder / "policies.yaml").write_text(yaml.safe_dump(_policies(category)))
    path = folder / "sidecar.yaml"
    path.write_text(yaml.safe_dump(_settings(host, port)))
    return DemoHouse(path, load(path, {}), token)


def _policies(category: Category) -> list[dict[str, Any]]:
    rule = {"category": category.value, "exit": 0.3, "within_s": 4}
    flag = {"name": "demo-flag", "action": "flag", "enter": 0.6, "hits": 1, "of": 3}
    cut = {"name": "demo-takedown", "action": "takedown", "enter": 0.85, "hits": 2}
    return [{"name": "demo", "rules": [{**flag, **rule}, {**cut, "of": 3, **rule}]}]


def _settings(host: str, port: int) -> dict[str, Any]:
    return {
        "sidecar": "demo",
        "ingest": {"workers": 1},
        "sampling": {"interval_s": 0.5, "burst_trigger": 0.4},
        "whip": {"port": 0},
        "control": {"port": 0, "token": {"file": "token"}},
        "policies": "policies.yaml",
        # amqtt, the embedded broker, speaks 3.1.1 only
        "mqtt": {"host": host, "port": port, "version": "3.1.1", "scores": True},
        "outbox": {"path": "outbox.sqlite"},
        "drain_s": 3,
    }
