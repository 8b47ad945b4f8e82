"""What people and programs call: the control API and the operator's page."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.app.control import AppControl
from sidecar.app.deeds import open_deeds, state_dir
from sidecar.app.glimpse import Glimpses
from sidecar.app.house import House
from sidecar.app.keepsakes import Keepsakes
from sidecar.app.live_rows import LiveRows
from sidecar.app.oversee import AppOverseer
from sidecar.app.policy_desk import AppPolicyDesk
from sidecar.app.stages import server_settings
from sidecar.app.what_if import Past
from sidecar.clock import Clock
from sidecar.config.listeners import ControlConfig
from sidecar.config.policies import PolicyConfig
from sidecar.decide.policyset import PolicySet
from sidecar.errors import PublishError
from sidecar.web.auth import Access
from sidecar.web.callers import Callers, Principal, Role
from sidecar.web.control import control_app
from sidecar.web.health import Health
from sidecar.web.live import LiveFeed
from sidecar.web.look_routes import LookRoutes
from sidecar.web.policy_routes import PolicyRoutes
from sidecar.web.server import HttpServer

_RECALLED: Final = 1000  # actions, as many as the page shows


def access_of(section: ControlConfig, clock: Clock) -> Access:
    """Who may call, by the tokens of the configuration."""
    principals = [
        Principal.of(name, Role(role), token.get_secret_value())
        for name, (role, token) in section.named_tokens().items()
    ]
    return Access.of(Callers(principals), clock, secure=section.tls is not None)


def _set_of(policies: Sequence[PolicyConfig]) -> PolicySet:
    return PolicySet(tuple(policy.to_policy() for policy in policies))


@dataclass(frozen=True, slots=True)
class Front:
    """What is called, and what runs behind it."""

    server: HttpServer
    live: LiveFeed
    overseer: AppOverseer
    desk: AppPolicyDesk

    async def stop(self) -> None:
        """No more requests; open pages are told to come back later."""
        self.live.close()
        await self.server.stop()


async def open_front(
    control: AppControl, health: Health, path: Path | None, stack: AsyncExitStack
) -> Front:
    """The listener, bound; closed by `stack`. Raises ConfigError, AuditFailed.

    Args:
        control: What has been built so far.
        health: What readiness is told of.
        path: The configuration file, whose policies can be changed.
        stack: Closes the audit log and the listener.
    """
    config, clock = control.factory.config, control.clock
    stats = control.factory.stats

    def audited(ok: bool) -> None:  # noqa: FBT001 a callback with one argument
        health.report("audit", ok=ok, reason="failing")

    deeds = await open_deeds(config, clock, stack, audited)
    keepsakes = Keepsakes(state_dir(config), config.sidecar)
    house = House(await asyncio.to_thread(keepsakes.pauses), clock, stats)
    house.look_on(control.pipeline)
    tried = await asyncio.to_thread(keepsakes.shadow) or config.shadow
    if tried:
        house.shadow.take(_set_of(tried), (), clock.monotonic())
    past = Past(clock)
    past.look_on(control.pipeline)
    control.publisher.report_to(house.feed)
    with suppress(PublishError):  # of a disk that fails readiness tells
        house.recall(await control.publisher.held(_RECALLED), clock.monotonic())
    glimpses = Glimpses(control.streams, config.control.thumbnails)
    overseer = AppOverseer(
        control.streams, house, keepsakes, deeds, clock, stats, glimpses
    )
    desk = AppPolicyDesk(
        config, path, control.streams, house, past, deeds, clock, keepsakes
    )
    names: dict[str, str | bool] = {
        "site": config.site,
        "sidecar": config.sidecar,
        "thumbnails": config.control.thumbnails,
    }
    rows = LiveRows(control.streams, house, control.publisher, health, clock, names)
    live = LiveFeed(rows, stats, secrets.token_hex(6))
    app = control_app(
        control,
        health,
        stats,
        access_of(config.control, clock),
        deeds,
        LookRoutes(overseer, live, deeds).router(),
        PolicyRoutes(desk).router(),
    )
    server = HttpServer(app, server_settings("control", config.control))
    server.bind()
    stack.callback(server.close)
    return Front(server, live, overseer, desk)
