"""What people and programs call: the control API and the operator's page."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sidecar.app.control import AppControl
from sidecar.app.deeds import open_deeds, state_dir
from sidecar.app.house import House
from sidecar.app.keepsakes import Keepsakes
from sidecar.app.live_rows import LiveRows
from sidecar.app.oversee import AppOverseer
from sidecar.app.stages import server_settings
from sidecar.clock import Clock
from sidecar.config.listeners import ControlConfig
from sidecar.web.auth import Access
from sidecar.web.callers import Callers, Principal, Role
from sidecar.web.control import control_app
from sidecar.web.health import Health
from sidecar.web.live import LiveFeed
from sidecar.web.look_routes import LookRoutes
from sidecar.web.server import HttpServer


def access_of(section: ControlConfig, clock: Clock) -> Access:
    """Who may call, by the tokens of the configuration."""
    principals = [
        Principal.of(name, Role(role), token.get_secret_value())
        for name, (role, token) in section.named_tokens().items()
    ]
    return Access.of(Callers(principals), clock, secure=section.tls is not None)


@dataclass(frozen=True, slots=True)
class Front:
    """What is called, and what runs behind it."""

    server: HttpServer
    live: LiveFeed
    overseer: AppOverseer

    async def stop(self) -> None:
        """No more requests; open pages are told to come back later."""
        self.live.close()
        await self.server.stop()


async def open_front(
    control: AppControl, health: Health, stack: AsyncExitStack
) -> Front:
    """The listener, bound; closed by `stack`. Raises ConfigError, AuditFailed."""
    config, clock = control.factory.config, control.clock
    stats = control.factory.stats

    def audited(ok: bool) -> None:  # noqa: FBT001 a callback with one argument
        health.report("audit", ok=ok, reason="failing")

    deeds = await open_deeds(config, clock, stack, audited)
    keepsakes = Keepsakes(state_dir(config), config.sidecar)
    house = House(await asyncio.to_thread(keepsakes.pauses), clock, stats)
    house.look_on(control.pipeline)
    control.publisher.report_to(house.feed)
    overseer = AppOverseer(control.streams, house, keepsakes, deeds, clock, stats)
    names = {"site": config.site, "sidecar": config.sidecar}
    rows = LiveRows(control.streams, house, control.publisher, health, clock, names)
    live = LiveFeed(rows, stats, secrets.token_hex(6))
    app = control_app(
        control,
        health,
        stats,
        access_of(config.control, clock),
        deeds,
        LookRoutes(overseer, live, deeds).router(),
    )
    server = HttpServer(app, server_settings("control", config.control))
    server.bind()
    stack.callback(server.close)
    return Front(server, live, overseer)
