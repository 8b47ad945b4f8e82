"""The demo: a real broker, a real WebRTC publisher, the sidecar, and a subscriber.

Only the publisher is another process, as it would be in life. What the terminal shows
is what the subscriber hears from the broker, nothing else.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiomqtt
from rich.console import Console
from rich.live import Live

from sidecar.app.run import run_app
from sidecar.demo.broker import embedded_broker
from sidecar.demo.display import render, summary
from sidecar.demo.house import DemoHouse, demo_house
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
    page: str = ""
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
        house = await asyncio.to_thread(
            demo_house, settings.category, host, port, folder
        )
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(
                _listen(session, host, port), name="demo:subscriber"
            )
            await session.subscribed.wait()
            ports: dict[str, int] = {}
            app = group.create_task(_serve(house, session, ports), name="demo:sidecar")
            await session.serving.wait()
            session.page = house.page(ports["control"])
            publishers = [
                group.create_task(work, name="demo:publisher")
                for work in _publishers(settings, session, ports["whip"])
            ]
            code = await _show(settings, session)
            for publisher in publishers:
                publisher.cancel()
            session.stop.set()
            await asyncio.wait([*publishers, app])
            listener.cancel()
    return code


async def _serve(house: DemoHouse, session: _Session, ports: dict[str, int]) -> None:
    def started(listening: dict[str, int]) -> None:
        ports.update(listening)
        session.story.tell("The sidecar listens for publishers (WHIP).")
        session.serving.set()

    await run_app(house.config, stop=session.stop, started=started, path=house.path)


async def _listen(session: _Session, host: str, port: int) -> None:
    """The platform's side: subscribes like any enforcer would."""
    client = aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V311)
    async with client:
        await client.subscribe("moderation/v1/#", qos=1)
        session.subscribed.set()
        async for message in client.messages:
            topic, payload = message.topic.value, bytes(message.payload or b"")
            if "/streams/" in topic and f"/streams/{STREAM_ID}/" not in topic:
                continue  # the terminal tells of one stream, the page of all
            first = session.story.takedown is None
            session.story.hear(topic, payload)
            if topic.endswith("/scores"):
                session.heard_scores_at = time.monotonic()
            if first and session.story.takedown is not None:
                session.takedown_unix_ms = time.time_ns() / 1e6
                session.over.set()


def _publishers(
    settings: DemoSettings, session: _Session, port: int
) -> list[Coroutine[Any, Any, None]]:
    """The stream the terminal tells of; and, if it is to last, company for the page."""
    shown = {"--category": settings.category.value, "--card-at": str(CARD_AT_S)}
    if settings.once or settings.as_json:
        return [_publish(settings, session, port, STREAM_ID, shown)]
    now_and_then = {"--card-for": "8", "--card-every": "40"}
    first = _publish(settings, session, port, STREAM_ID, {**shown, **now_and_then})
    small = {"--width": "320", "--height": "180", "--fps": "15", "--category": "safe"}
    others = [
        _publish(
            settings, None, port, f"demo-{number}", {**small, "--seed": f"{number}"}
        )
        for number in (2, 3)
    ]
    return [first, *others]


async def _publish(
    settings: DemoSettings,
    session: _Session | None,
    port: int,
    stream_id: str,
    options: dict[str, str],
) -> None:
    """Runs a publisher process; takes its word on when the card was shown."""
    arguments = {
        "--whip": f"http://127.0.0.1:{port}/whip/{stream_id}",
        "--codec": settings.codec,
        **options,
    }
    flat = [part for pair in arguments.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar.demo.publisher", *flat),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if session is None:
            await process.communicate()
        else:
            session.story.tell(
                "A publisher in another process starts pushing a street."
            )
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
            live.update(render(session.story, age_s, session.page), refresh=True)
            if session.story.takedown is not None and not told:
                told = True
                console.print(summary(session.story.takedown, session.latency_ms))
                if settings.once:
                    return
                console.print("The demo goes on; Ctrl-C ends it.\n")
            await asyncio.sleep(_FRAME_S)


def _failed(session: _Session) -> bool:
    return session.over.is_set() and session.story.takedown is None
