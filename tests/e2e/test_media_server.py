"""The sidecar beside a real media server, pulling by WHEP as a viewer would."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Site
from tests.e2e.janus import JanusServer
from tests.e2e.media_servers import BROADCAST_BOX, PION, RunningServer, Server
from tests.e2e.sidecar_process import SidecarProcess

pytestmark = pytest.mark.e2e

STREAM = "studio"
SERVERS: dict[str, Callable[[Site], Server]] = {
    "whip-whep": lambda site: RunningServer(PION, site),
    "broadcast-box": lambda site: RunningServer(BROADCAST_BOX, site),
    "janus-vp8": lambda site: JanusServer(site, "VP8"),
    "janus-h264": lambda site: JanusServer(site, "H264"),
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, site: Site) -> Iterator[Server]:
    """A media server, running."""
    server = SERVERS[request.param](site)
    try:
        yield server
    finally:
        site.children += server.children


def _sidecar(site: Site, server: Server) -> SidecarProcess:
    whep: dict[str, object] = {"url": server.whep}
    if server.token is not None:
        token = site.folder / "whep-token"
        token.write_text(server.token)
        whep["token"] = {"file": str(token)}
    return site.sidecar(streams=[{"id": STREAM, "whep": whep}])


def _wait_unknown(site: Site, sidecar: SidecarProcess) -> None:
    """Nothing comes from the stream: it is UNKNOWN, to the API and on the bus."""
    said = len(site.collector.verdicts(STREAM))
    site.collector.wait(
        lambda _: any(
            v.startswith("unknown") for v in site.collector.verdicts(STREAM)[said:]
        ),
        45,
        "the lost stream is UNKNOWN",
    )
    assert sidecar.streams()[STREAM]["verdict"]["state"] == "unknown"


def test_recovers_from_whatever_leaves(site: Site, server: Server) -> None:
    """After each loss the stream is UNKNOWN, and then its next card is taken down.

    Lost are the publisher, which leaves and comes back, and then the server, which is
    killed and started again.
    """
    sidecar = _sidecar(site, server)
    assert sidecar.streams()[STREAM]["verdict"]["state"] == "unknown"

    first = server.publish()
    assert site.collector.action(STREAM, 45).body["subject"]["source"] == "whep"

    first.end()
    _wait_unknown(site, sidecar)
    before = len(site.collector.actions(STREAM))
    second = server.publish()
    site.collector.action(STREAM, 45, number=before + 1)

    server.kill()
    second.end()
    _wait_unknown(site, sidecar)
    before = len(site.collector.actions(STREAM))
    server.restart()
    server.publish()
    site.collector.action(STREAM, 60, number=before + 1)

    seen = sidecar.streams()[STREAM]
    assert seen["state"] == "live"
    assert seen["samples"] > 0
