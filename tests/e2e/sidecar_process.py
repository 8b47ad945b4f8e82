"""`sidecar run` as users run it: a process and a YAML file."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.e2e.processes import Child, free_port, until

Settings = dict[str, Any]


def rule(action: str = "takedown", **over: Any) -> Settings:  # noqa: ANN401 YAML
    """A rule that needs two hits and may fire again a second later."""
    return {
        "name": f"explicit-{action}",
        "category": "sexual.explicit",
        "action": action,
        "enter": 0.7,
        "exit": 0.4,
        "hits": 2,
        "of": 4,
        "within_s": 6,
        "cooldown_s": 1,
        **over,
    }


def settings(folder: Path, mqtt_port: int, **over: Any) -> Settings:  # noqa: ANN401
    """A whole configuration on free ports; `over` replaces top-level keys."""
    return {
        "site": "e2e",
        "sidecar": "e2e-1",
        "log": {"format": "json", "level": "info"},
        "sampling": {"interval_s": 0.4, "pli_interval_s": 1.0},
        "webrtc": {"packet_timeout_s": 3, "connect_timeout_s": 8},
        "policies": [{"name": "quick", "stale_after_s": 5, "rules": [rule()]}],
        "mqtt": {"host": "127.0.0.1", "port": mqtt_port},
        "outbox": {"path": str(folder / "outbox.sqlite")},
        "control": {"port": free_port()},
        "drain_s": 5,
        **over,
    }


def whip(**over: Any) -> Settings:  # noqa: ANN401 YAML
    """A WHIP listener on a free port."""
    return {"port": free_port(), **over}


class SidecarProcess:
    """The program under test.

    Args:
        folder: Where its files go.
        config: Its settings.
        program: The module that is run, and arguments before the command.
    """

    def __init__(
        self, folder: Path, config: Settings, program: Sequence[str] = ("sidecar",)
    ) -> None:
        self._folder = folder
        self._program = program
        self.config = config
        self.path = folder / "sidecar.yaml"
        self.child = self.start()

    def write(self) -> None:
        """Writes the configuration as it is now."""
        self.path.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self) -> Child:
        """Writes the configuration and starts the process; does not wait."""
        self.write()
        self.child = Child(
            "sidecar",
            [sys.executable, "-m", *self._program, "run", str(self.path)],
            self._folder / "sidecar.log",
        )
        return self.child

    @property
    def control(self) -> str:
        """Base URL of the control API."""
        return f"http://127.0.0.1:{self.config['control']['port']}"

    def whip(self, stream: str) -> str:
        """Where `stream` is pushed to."""
        section = self.config["whip"]
        path = section.get("path", "/whip")
        return f"http://127.0.0.1:{section['port']}{path}/{stream}"

    def get(self, path: str) -> httpx.Response | None:
        """A page of the control API, or None if nobody answers."""
        try:
            return httpx.get(self.control + path, timeout=20, trust_env=False)
        except httpx.HTTPError:
            return None

    def wait_ready(self, within_s: float = 60.0) -> None:
        """Returns once `/readyz` is green."""

        def green() -> bool:
            assert self.child.alive, self.child.tail()
            reply = self.get("/readyz")
            return reply is not None and reply.status_code == 200

        until(green, within_s, "the sidecar is ready", every_s=0.1)

    def streams(self) -> dict[str, Settings]:
        """What `/api/streams` says, by stream id."""
        reply = self.get("/api/streams")
        assert reply is not None, self.child.tail()
        assert reply.status_code == 200, reply.text
        body = reply.json()
        listed = body["streams"] if isinstance(body, dict) else body
        return {one["id"]: one for one in listed}

    def wait_stream(self, stream: str, state: str, within_s: float) -> Settings:
        """The stream's entry once its supervisor's state is `state`."""

        def there() -> Settings | None:
            found = self.streams().get(stream)
            return found if found is not None and found["state"] == state else None

        return until(there, within_s, f"{stream} is {state}", every_s=0.1)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have `labels`."""
        reply = self.get("/metrics")
        assert reply is not None, self.child.tail()
        total = 0.0
        for line in reply.text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] != name:
                continue
            if all(f'{key}="{text}"' in head for key, text in labels.items()):
                total += float(value)
        return total

    def logged(self, event: str) -> list[Settings]:
        """The log's entries of that event so far."""
        lines = self.child.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in found if entry["event"] == event]

    def outbox_depth(self) -> int:
        """How many actions are not delivered yet."""
        reply = self.get("/api/outbox")
        assert reply is not None, self.child.tail()
        depth: int = reply.json()["depth"]
        return depth

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))

    def threads(self) -> int:
        """Operating system threads."""
        return len(list(Path(f"/proc/{self.child.pid}/task").iterdir()))

    def resident_mb(self) -> float:
        """Resident memory, MiB."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    def stop(self, within_s: float = 45.0) -> int:
        """SIGTERM; the exit code: that of SIGALRM if it is overdue."""
        self.child.send(signal.SIGTERM)
        return self.child.wait(within_s)
