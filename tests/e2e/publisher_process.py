"""The synthetic publisher as a process, and what it says."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.e2e.processes import Child, until


class PublisherProcess:
    """`python -m sidecar.demo.publisher`; options as on its command line."""

    def __init__(self, folder: Path, whip: str, **options: object) -> None:
        arguments = ["--whip", whip]
        defaults = {"fps": 15, "card_at": 2, "codec": "vp8"}
        for key, value in {**defaults, **options}.items():
            arguments += [f"--{key.replace('_', '-')}", str(value)]
        number = len(list(folder.glob("publisher-*.out")))
        self.child = Child(
            "publisher",
            [sys.executable, "-m", "sidecar.demo.publisher", *arguments],
            folder / f"publisher-{number}.log",
            stdout=folder / f"publisher-{number}.out",
        )

    def events(self) -> list[dict[str, Any]]:
        """Everything said so far."""
        lines = self.child.stdout.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_event(self, name: str, within_s: float = 45.0) -> dict[str, Any]:
        """The first event of that name."""

        def found() -> dict[str, Any] | None:
            said = [event for event in self.events() if event["event"] == name]
            assert said or self.child.alive, (self.events(), self.child.tail())
            return said[0] if said else None

        return until(found, within_s, f"publisher says {name}")


def offer_sdp() -> str:
    """A publisher's SDP offer, good in itself, that nobody stands behind."""
    return asyncio.run(_offer())


async def _offer() -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("video", direction="sendonly")
    await pc.setLocalDescription(await pc.createOffer())
    offer: str = pc.localDescription.sdp
    await pc.close()
    return offer
