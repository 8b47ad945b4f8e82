"""How a real browser's media comes: through a gate, after an ICE restart, by TURN."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.browser import PublishPage, publishing_browser
from tests.e2e.conftest import Site
from tests.e2e.coturn import PASSWORD, USER, Coturn
from tests.e2e.processes import until
from tests.e2e.sidecar_process import SidecarProcess, whip

pytestmark = pytest.mark.e2e

KEYFRAMES = {
    "decode": "keyframes",
    "interval_s": 1.0,
    "jitter": 0,
    "audit_every_s": 0,
    "pli_interval_s": 1.0,
}
NEVER = 1e6
READINGS = 20  # seconds


def test_a_closed_gate_and_an_ice_restart_cost_no_quality(
    site: Site, page: PublishPage
) -> None:
    """What the browser sends does not fall though most of it is kept out.

    Keyframes alone are let in, once a second; halfway the page restarts ICE by PATCH
    (RFC 9725), and is seen on.
    """
    sidecar = site.sidecar(
        sampling=KEYFRAMES, webrtc={}, whip=whip(allow_origins=[page.origin])
    )
    settings = {
        **_settings(sidecar),
        "fps": 30,
        "busy": True,
        "readings": True,
        "restartAfter": READINGS / 2,
    }
    with publishing_browser(site.folder, page, settings, hide=False) as chromium:
        site.children.append(chromium)
        page.wait_said("reading", 60)
        restarted = page.wait_said("restarted", READINGS + 20)
        assert (restarted["status"], restarted["state"]) == (200, "connected")
        closed_s = sidecar.metric("sidecar_gate_closed_seconds_total")
        _wait_samples(sidecar, 5, 45)
        until(lambda: len(page.events("reading")) > READINGS, 45, "it was read often")
        read = [one["sent"] for one in page.events("reading")]
        assert sidecar.metric("sidecar_gate_closed_seconds_total") > closed_s
        assert sidecar.metric("sidecar_gate_unaided_total") == 0
    assert sidecar.logged("whip_ice_restarted")
    third = len(read) // 3
    first = read[third]["bytesSent"] - read[0]["bytesSent"]
    last = read[-1]["bytesSent"] - read[-1 - third]["bytesSent"]
    assert last > first / 2, [one["bytesSent"] for one in read]


def test_publishers_behind_a_relay_are_seen(site: Site, page: PublishPage) -> None:
    """The browser's only way is a TURN server, and so is the sidecar's: samples come.

    The kernel cannot keep such media out: the gate goes on without it, and counts it.
    """
    turn = Coturn(site.folder)
    site.children.append(turn.child)
    secret = site.folder / "turn-password"
    secret.write_text(PASSWORD)
    server = {"urls": turn.url, "username": USER}
    with _no_port_of_its_own() as port:
        sidecar = site.sidecar(
            sampling=KEYFRAMES,
            webrtc={
                "ice_servers": [{**server, "credential": {"file": str(secret)}}],
                "port_range": [port, port],
            },
            whip=whip(allow_origins=[page.origin]),
        )
        settings = {
            **_settings(sidecar),
            "relay": True,
            "readings": True,
            "iceServers": [{**server, "credential": PASSWORD}],
        }
        with publishing_browser(site.folder, page, settings, hide=False) as chromium:
            site.children.append(chromium)
            assert page.wait_said("reading", 60)
            _wait_samples(sidecar, 5, 45)
            assert page.events("reading")[-1]["kind"] == "relay"
            assert sidecar.metric("sidecar_gate_unaided_total") >= 3
            assert sidecar.streams()["browser"]["verdict"]["state"] == "clear"


def _settings(sidecar: SidecarProcess) -> dict[str, object]:
    return {"whip": sidecar.whip("browser"), "cardAt": NEVER, "codec": "VP8"}


def _wait_samples(sidecar: SidecarProcess, more: int, within_s: float) -> None:
    """Until so many more samples were taken than now."""

    def taken() -> int:
        found = sidecar.streams().get("browser")
        return 0 if found is None else int(found["samples"])

    enough = taken() + more
    until(lambda: taken() >= enough, within_s, f"{more} more samples are taken")


@contextmanager
def _no_port_of_its_own() -> Iterator[int]:
    """The only port that a sidecar may bind, and cannot: it is taken."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind(("::", 0))
        yield taken.getsockname()[1]
