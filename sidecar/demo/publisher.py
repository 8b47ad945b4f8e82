"""A WebRTC publisher in a process of its own: a street in which a test card appears.

Pushes by WHIP (RFC 9725) and prints one JSON object a line on stdout: `connected`,
`card_shown`, then `ended` (exit 0) or `failed` (exit 1). SIGTERM and SIGINT end it
politely, with a DELETE.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx

from sidecar.demo.whip_push import Publication, PublishFailed, publish
from sidecar.domain import Category, Codec
from sidecar.testcard.clip import Scene


def _print(event: str, fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


async def _run(publication: Publication) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            await publish(publication, http, stop, _print)
    except PublishFailed as exc:
        _print("failed", {"message": str(exc)})
        return 1
    _print("ended", {})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = partial(parser.add_argument, metavar="X", help=" ")
    add("--whip", required=True, help="URL of the WHIP endpoint")
    add("--token-file", type=Path, help="file with the bearer token")
    add("--category", default="sexual.explicit", help="which card; 'safe' shows none")
    add("--card-at", type=float, default=4.0, help="seconds from the first frame")
    add("--card-for", type=float, help="seconds it stays; default for good")
    add("--card-every", type=float, default=60.0, help="from one card to the next")
    add("--cover", type=float, default=0.7, help="share of the picture under the card")
    add("--width", type=int, default=640)
    add("--height", type=int, default=360)
    add("--fps", type=int, default=30)
    add("--codec", choices=("vp8", "h264"), default="vp8", help="vp8 or h264")
    add("--seconds", type=float, help="how long; default until SIGTERM")
    add("--seed", type=int, default=0, help="which street")
    return parser


def publication_of(arguments: Sequence[str]) -> Publication:
    """The publication that a command line describes; exits 2 if it is wrong."""
    args = _parser().parse_args(arguments)
    category = None if args.category == Category.SAFE else Category(args.category)
    pictures = Scene(
        category=category,
        width=args.width,
        height=args.height,
        fps=args.fps,
        card_at_s=args.card_at,
        card_for_s=args.card_for,
        card_every_s=args.card_every,
        cover=args.cover,
        seed=args.seed,
    )
    token = args.token_file.read_text().strip() if args.token_file else None
    codec = Codec(args.codec.upper())
    return Publication(args.whip, pictures, token, codec, args.seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publishes as the command line says; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    return asyncio.run(_run(publication_of(given)))


if __name__ == "__main__":
    sys.exit(main())
