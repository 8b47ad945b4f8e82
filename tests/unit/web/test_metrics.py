"""What must hold of `/metrics`."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.stats import Stats
from sidecar.web.auth import Access
from sidecar.web.control import control_app
from sidecar.web.health import Health
from tests.fakes.control import FakeControl


@pytest.mark.anyio
async def test_metrics_are_what_prometheus_reads() -> None:
    """The exposition parses, has its content type, and shows what was counted."""
    stats = Stats()
    stats.lost.labels("ingest", "buffer_overflow").inc(3)
    app = control_app(FakeControl(), Health(), stats, Access.by(None))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost"
    ) as client:
        reply = await client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    ]
    lost = {"stage": "ingest", "reason": "buffer_overflow"}
    assert ("sidecar_lost_total", lost, 3.0) in samples
