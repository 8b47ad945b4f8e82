"""The demo: a real broker, a real WebRTC publisher, the sidecar, and a subscriber.

Only the publisher is another process, as it would be in life. What the terminal shows
is what the subscriber hears from the broker, nothing else.
"""

import asyncio
import json
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt
from rich.console import Console
from rich.live import Live

from sidecar.app.run import run_app
from sidecar.config import Config
from sidecar.demo.broker import embedded_broker
from sidecar.demo.display import render, summary
from sidecar.demo.story import Story
from sidecar.domain import Category

STREAM_ID: Final = "demo-1"
DEADLINE_S: Final = 60.0
CARD_AT_S: Final = 4.0
_FRAME_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What is shown, and how.

    Attributes:
        category: Which harmless test card appears.
        codec: `vp8` or `h264`.
        once: End after the first takedown.
        as_json: One JSON object on stdout instead of the display.
    """

    category: Category = Category.SEXUAL_EXPLICIT
    codec: str = "vp8"
    once: bool = False
    as_json: bool = False


@dataclass(slots=True)
class _Session:
    """What the demo's tasks share."""

    story: Story = field(default_factory=Story)
    heard_scores_at: float | None = None
    card_unix_ms: float | None = None
    takedown_unix_ms: float | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def latency_ms(self) -> float | None:
        """First picture of the card at the encoder to the signal at the subscriber."""
        if self.card_unix_ms is None or self.takedown_unix_ms is None:
            return None
        return round(self.takedown_unix_ms - self.card_unix_ms, 1)


async def run_demo(settings: DemoSettings) -> int:
    """Runs the demo; its exit code: 0, or 1 if no takedown came in a minute."""
    session = _Session()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host, port = await stack.enter_async_context(embedded_broker())
        config = demo_config(settings.category, host, port, folder)
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(
                _listen(session, host, port), name="demo:subscriber"
            )
            await session.subscribed.wait()
            ports: dict[str, int] = {}
            app = group.create_task(_serve(config, session, ports), name="demo:sidecar")
            await session.serving.wait()
            publisher = group.create_task(
                _publish(settings, session, ports["whip"]), name="demo:publisher"
            )
            code = await _show(settings, session)
            publisher.cancel()
            session.stop.set()
            await asyncio.wait([publisher, app])
            listener.cancel()
    return code


def demo_config(category: Category, host: str, port: int, folder: Path) -> Config:
    """The demo's configuration: WHIP push, the test card model, one quick policy."""
    rule = {"category": category, "exit": 0.3, "within_s": 4}
    return Config.model_validate(
        {
            "sidecar": "demo",
            "ingest": {"workers": 1},
            "sampling": {"interval_s": 0.5, "burst_trigger": 0.4},
            "whip": {"port": 0},
            "control": {"port": 0},
            "policies": [
                {
                    "name": "demo",
                    "rules": [
                        {
                            "name": "demo-flag",
                            "action": "flag",
                            "enter": 0.6,
                            "hits": 1,
                            "of": 3,
                            **rule,
                        },
                        {
                            "name": "demo-takedown",
                            "action": "takedown",
                            "enter": 0.85,
                            "hits": 2,
                            "of": 3,
                            **rule,
                        },
                    ],
                }
            ],
            # amqtt, the embedded broker, speaks 3.1.1 only
            "mqtt": {"host": host, "port": port, "version": "3.1.1", "scores": True},
            "outbox": {"path": folder / "outbox.sqlite"},
            "drain_s": 3,
        }
    )


async def _serve(config: Config, session: _Session, ports: dict[str, int]) -> None:
    def started(listening: dict[str, int]) -> None:
        ports.update(listening)
        session.story.tell("The sidecar listens for publishers (WHIP).")
        session.serving.set()

    await run_app(config, stop=session.stop, started=started)


async def _listen(session: _Session, host: str, port: int) -> None:
    """The platform's side: subscribes like any enforcer would."""
    client = aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V311)
    async with client:
        await client.subscribe("moderation/v1/#", qos=1)
        session.subscribed.set()
        async for message in client.messages:
            topic, payload = message.topic.value, bytes(message.payload or b"")
            first = session.story.takedown is None
            session.story.hear(topic, payload)
            if topic.endswith("/scores"):
                session.heard_scores_at = time.monotonic()
            if first and session.story.takedown is not None:
                session.takedown_unix_ms = time.time_ns() / 1e6
                session.over.set()


async def _publish(settings: DemoSettings, session: _Session, port: int) -> None:
    """Runs the publisher process and takes its word on when the card was shown."""
    arguments = {
        "--whip": f"http://127.0.0.1:{port}/whip/{STREAM_ID}",
        "--category": settings.category.value,
        "--card-at": str(CARD_AT_S),
        "--codec": settings.codec,
    }
    flat = [part for pair in arguments.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar.demo.publisher", *flat),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    session.story.tell("A publisher in another process starts pushing a street scene.")
    try:
        await _follow(process, session)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _follow(process: asyncio.subprocess.Process, session: _Session) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "connected":
            session.story.tell("The publisher is connected over WebRTC.")
        elif event["event"] == "card_shown":
            session.card_unix_ms = float(event["unix_ms"])
            session.story.tell("The publisher now shows the test card.")
        elif event["event"] == "failed":
            session.story.tell(f"The publisher failed: {event['message']}")
    session.story.tell("The publisher has left.")
    session.over.set()


async def _show(settings: DemoSettings, session: _Session) -> int:
    """Shows what is heard until the takedown (`once`) or until interrupted."""
    console = Console(stderr=settings.as_json)
    if settings.as_json:
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                await session.over.wait()
    else:
        await _show_live(settings, session, console)
    if session.story.takedown is None:
        last = session.story.lines[-1] if session.story.lines else "nothing"
        console.print(f"No takedown came (waited for {DEADLINE_S:.0f} s at most).")
        console.print(f"Heard last: {last}")
        return 1
    if settings.as_json:
        sys.stdout.write(_as_json(session) + "\n")
    return 0


def _as_json(session: _Session) -> str:
    return json.dumps(
        {
            "action": session.story.takedown,
            "card_shown_to_takedown_ms": session.latency_ms,
            "streams": 1,
        }
    )


async def _show_live(
    settings: DemoSettings, session: _Session, console: Console
) -> None:
    """Redraws ten times a second; the summary is printed once, above."""
    began = time.monotonic()
    told = False
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while told or (time.monotonic() - began < DEADLINE_S and not _failed(session)):
            heard = session.heard_scores_at
            age_s = None if heard is None else time.monotonic() - heard
            live.update(render(session.story, age_s), refresh=True)
            if session.story.takedown is not None and not told:
                told = True
                console.print(summary(session.story.takedown, session.latency_ms))
                if settings.once:
                    return
                console.print("The demo goes on; Ctrl-C ends it.\n")
            await asyncio.sleep(_FRAME_S)


def _failed(session: _Session) -> bool:
    return session.over.is_set() and session.story.takedown is None
