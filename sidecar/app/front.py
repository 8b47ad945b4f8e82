"""What people and programs call: the control API and the operator's page."""

from contextlib import AsyncExitStack

from sidecar.app.control import AppControl
from sidecar.app.deeds import open_deeds
from sidecar.app.stages import server_settings
from sidecar.clock import Clock
from sidecar.config.listeners import ControlConfig
from sidecar.web.auth import Access
from sidecar.web.callers import Callers, Principal, Role
from sidecar.web.control import control_app
from sidecar.web.health import Health
from sidecar.web.server import HttpServer


def access_of(section: ControlConfig, clock: Clock) -> Access:
    """Who may call, by the tokens of the configuration."""
    principals = [
        Principal.of(name, Role(role), token.get_secret_value())
        for name, (role, token) in section.named_tokens().items()
    ]
    return Access.of(Callers(principals), clock, secure=section.tls is not None)


async def open_front(
    control: AppControl, health: Health, stack: AsyncExitStack
) -> HttpServer:
    """The listener, bound; closed by `stack`. Raises ConfigError, AuditFailed."""
    config, clock = control.factory.config, control.clock

    def audited(ok: bool) -> None:  # noqa: FBT001 a callback with one argument
        health.report("audit", ok=ok, reason="failing")

    deeds = await open_deeds(config, clock, stack, audited)
    app = control_app(
        control,
        health,
        control.factory.stats,
        access_of(config.control, clock),
        deeds,
    )
    server = HttpServer(app, server_settings("control", config.control))
    server.bind()
    stack.callback(server.close)
    return server
