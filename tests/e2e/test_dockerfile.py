"""What must hold of the Dockerfile, compose.yaml and what they mount."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config import load
from sidecar.stats import Stats

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ENVIRON = {"CONTROL_TOKEN": "0123456789abcdef", "MQTT_PASSWORD": "x"}
PINNED = re.compile(r"[a-z0-9/.-]+:v?\d+\.\d+\.\d+(-[a-z-]+)?")


@pytest.fixture
def compose() -> dict[str, Any]:
    """The compose file, parsed."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_base_images_are_pinned_and_both_stages_alike() -> None:
    """No image moves by itself, and what was built runs on what it was built on."""
    images = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    (image,) = images
    assert PINNED.fullmatch(image)


def test_the_image_runs_without_rights_and_ends_by_sigterm() -> None:
    """A numeric user, exec form (so that signals arrive), nothing written beside."""
    assert "\nUSER 10001:10001\n" in DOCKERFILE
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    assert '\nENTRYPOINT ["sidecar"]\n' in DOCKERFILE
    assert '\nCMD ["run", "/etc/sidecar/config.yaml"]\n' in DOCKERFILE
    assert "PYTHONDONTWRITEBYTECODE=1" in DOCKERFILE


def test_every_run_step_is_a_plain_command() -> None:
    """So that `.ci/docker_steps` can run the same one on a bare machine."""
    script = ROOT / ".ci" / "docker_steps"
    steps = subprocess.run(  # noqa: S603 our own script
        [sys.executable, str(script), "--print"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(steps) >= 4
    for step in steps:
        assert not set(step) & set("|&;<>$`"), step
    assert any("--require-hashes" in step for step in steps)


class _Readyz(BaseHTTPRequestHandler):
    """Answers `/readyz` with the server's status."""

    def do_GET(self) -> None:
        """200 or 503, as told."""
        known = self.path == "/readyz"
        self.send_response(self.server.status if known else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def readyz() -> Iterator[HTTPServer]:
    """A server whose readiness can be set."""
    with HTTPServer(("127.0.0.1", 0), _Readyz) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (0, 1)])
def test_the_health_check_is_readiness(
    readyz: HTTPServer, status: int, code: int
) -> None:
    """Exit 0 exactly if `/readyz` says 200; 1 if nobody listens."""
    vars(readyz)["status"] = status
    found = re.search(r"^\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    _, flag, script = json.loads(found[1])
    port = readyz.server_port if status else 1
    assert "8080" in script
    result = subprocess.run(  # noqa: S603 the Dockerfile's own line
        [sys.executable, flag, script.replace("8080", str(port))],
        capture_output=True,
        timeout=45,
        check=False,
    )
    assert result.returncode == code


def test_services_are_pinned_and_stripped_of_rights(compose: dict[str, Any]) -> None:
    """Read-only, no capabilities, no new privileges, versions that do not move."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert PINNED.fullmatch(service["image"]), name


def test_ports_are_on_loopback_only(compose: dict[str, Any]) -> None:
    """Trying it out opens nothing to the network."""
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_mounted_files_are_there(compose: dict[str, Any]) -> None:
    """Each bind mount names a file or folder of the repository."""
    mounts = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounts
    assert all((ROOT / mount).exists() for mount in mounts)


def test_the_grace_is_longer_than_the_drain(compose: dict[str, Any]) -> None:
    """Docker does not kill the sidecar while it still delivers."""
    config = load(ROOT / "deploy" / "compose" / "sidecar.yaml", ENVIRON)
    grace_s = int(compose["services"]["sidecar"]["stop_grace_period"].rstrip("s"))
    assert grace_s >= config.drain_s + 10


def test_compose_hands_over_what_the_configuration_reads(
    compose: dict[str, Any],
) -> None:
    """Environment, outbox volume and port agree with the mounted configuration."""
    service = compose["services"]["sidecar"]
    config = load(ROOT / "deploy" / "compose" / "sidecar.yaml", ENVIRON)
    assert set(service["environment"]) == set(ENVIRON)
    assert any(v == "outbox:/var/lib/sidecar" for v in service["volumes"])
    assert str(config.outbox.path).startswith("/var/lib/sidecar/")
    assert config.mqtt.host in compose["services"]
    assert service["ports"] == [f"127.0.0.1:8080:{config.control.port}"]


def test_alerts_speak_of_metrics_that_exist_and_of_sections_that_exist() -> None:
    """An alert on a misspelt metric would never fire; a dead link does not help."""
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text("utf-8")
    operating = (ROOT / "docs" / "operating.md").read_text("utf-8")
    families = {
        line.split()[2]
        for line in Stats().render().decode().splitlines()
        if line.startswith("# TYPE")
    }
    used = set(re.findall(r"\bsidecar_[a-z_]+", alerts))
    assert used
    assert used <= families
    headings = re.findall(r"^#+ (.+)$", operating, re.MULTILINE)
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings
    }
    for rule in yaml.safe_load(alerts)["groups"][0]["rules"]:
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path).is_file()
        assert anchor in anchors


@pytest.mark.skipif(
    os.environ.get("SIDECAR_TEST_REQUIRE") != "1",  # noqa: TID251 tests' switch
    reason="takes a minute and the network; `.ci/docker_steps` runs it by hand",
)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-remote.lock"])
def test_the_steps_work_in_a_clean_folder(lock: str) -> None:
    """The image's commands, one after the other, on this machine."""
    script = ROOT / ".ci" / "docker_steps"
    result = subprocess.run(  # noqa: S603 our own script
        [sys.executable, str(script), f"LOCK={lock}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (" tritonclient-" in result.stdout) == (lock == "requirements-remote.lock")
