"""The sidecar beside a real media server, pulling by WHEP as a viewer would."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Site
from tests.e2e.media_servers import BROADCAST_BOX, PION, RunningServer
from tests.e2e.publisher_process import PublisherProcess
from tests.e2e.sidecar_process import SidecarProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

STREAM = "studio"


@pytest.fixture(params=[PION, BROADCAST_BOX], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, site: Site) -> Iterator[RunningServer]:
    """A media server, running."""
    server = RunningServer(request.param, site.folder)
    try:
        yield server
    finally:
        site.children.append(server.child)


def _sidecar(site: Site, server: RunningServer) -> SidecarProcess:
    whep: dict[str, object] = {"url": server.url(server.kind.whep)}
    if server.kind.token is not None:
        token = site.folder / "whep-token"
        token.write_text(server.kind.token)
        whep["token"] = {"file": str(token)}
    return site.sidecar(streams=[{"id": STREAM, "whep": whep}])


def _publisher(site: Site, server: RunningServer) -> PublisherProcess:
    options: dict[str, object] = {"codec": server.kind.codec, "card_at": 6}
    if server.kind.token is not None:
        token = site.folder / "whip-token"
        token.write_text(server.kind.token)
        options["token_file"] = token
    return site.publisher(server.url(server.kind.whip), **options)


def _wait_unknown(site: Site, sidecar: SidecarProcess) -> None:
    """Nothing comes from the stream: it is UNKNOWN, to the API and on the bus."""
    said = len(site.collector.verdicts(STREAM))
    site.collector.wait(
        lambda _: any(
            v.startswith("unknown") for v in site.collector.verdicts(STREAM)[said:]
        ),
        20,
        "the lost stream is UNKNOWN",
    )
    assert sidecar.streams()[STREAM]["verdict"]["state"] == "unknown"


def test_recovers_from_whatever_leaves(site: Site, server: RunningServer) -> None:
    """After each loss the stream is UNKNOWN, and then its next card is taken down.

    Lost are the publisher, which leaves and comes back, and then the server, which is
    killed and started again.
    """
    sidecar = _sidecar(site, server)
    assert sidecar.streams()[STREAM]["verdict"]["state"] == "unknown"

    first = _publisher(site, server)
    assert site.collector.action(STREAM, 40).body["subject"]["source"] == "whep"

    first.child.end()
    _wait_unknown(site, sidecar)
    second = _publisher(site, server)
    site.collector.action(STREAM, 45, number=2)

    server.kill()
    second.child.end()
    _wait_unknown(site, sidecar)
    server.restart()
    _publisher(site, server)
    site.collector.action(STREAM, 60, number=3)

    seen = sidecar.streams()[STREAM]
    assert seen["state"] == "live"
    assert seen["samples"] > 0
