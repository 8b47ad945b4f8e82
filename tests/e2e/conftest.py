"""What every end-to-end test runs in: a folder, a broker, a collector, processes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.domain import Category
from sidecar.testcard.cards import write_card
from tests.e2e.browser import PublishPage
from tests.e2e.collector import Collector
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.processes import Child
from tests.e2e.publisher_process import PublisherProcess
from tests.e2e.sidecar_process import Settings, SidecarProcess, settings


@dataclass
class Site:
    """One platform: a broker, who listens there, and what was started.

    At the end everything is ended, and the tails of all logs are printed, which
    pytest shows for a failed test only.
    """

    folder: Path
    broker: Mosquitto
    collector: Collector
    children: list[Child] = field(default_factory=list)
    sidecars: list[SidecarProcess] = field(default_factory=list)

    def sidecar(self, *, ready: bool = True, **over: object) -> SidecarProcess:
        """Starts `sidecar run`; `over` replaces top-level keys of its settings."""
        config: Settings = settings(self.folder, self.broker.port, **over)
        sidecar = SidecarProcess(self.folder, config)
        self.sidecars.append(sidecar)
        if ready:
            sidecar.wait_ready()
        return sidecar

    def publisher(self, whip: str, **options: object) -> PublisherProcess:
        """Starts a publisher and waits until it is connected."""
        publisher = PublisherProcess(self.folder, whip, **options)
        self.children.append(publisher.child)
        publisher.wait_event("connected")
        return publisher

    def close(self) -> None:
        """Ends everything, newest first."""
        everything = [*self.children, *(s.child for s in self.sidecars)]
        for child in reversed(everything):
            child.end()
        self.collector.close()
        self.broker.child.end()
        for child in [*everything, self.broker.child]:
            print(child.tail())  # noqa: T201 shown by pytest on failure


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A broker and a collector; what the bus carried is checked by the schemas."""
    broker = Mosquitto(tmp_path)
    try:
        collector = Collector(broker.port)
    except BaseException:
        broker.child.end()
        raise
    site = Site(tmp_path, broker, collector)
    try:
        yield site
    finally:
        site.close()
    assert collector.faults == []


@pytest.fixture
def page(tmp_path: Path) -> Iterator[PublishPage]:
    """The publishing page on a loopback port of its own: another origin."""
    card = tmp_path / "card.png"
    write_card(Category.SEXUAL_EXPLICIT, card, 640, 360)
    page = PublishPage(card)
    try:
        yield page
    finally:
        page.close()
