"""Many quick HTTP requests over a few kept connections, cheaply."""

import asyncio
import itertools
from collections import Counter
from urllib.parse import urlsplit

_LINES = 8  # connections


def post_many(url: str, number: int, body: bytes) -> Counter[int]:
    """POSTs `body` as SDP `number` times; how often each status came.

    A connection that the server closes is opened again; a request whose connection
    closed without a reply counts as status 0.
    """
    return asyncio.run(_post_many(url, number, body))


async def _post_many(url: str, number: int, body: bytes) -> Counter[int]:
    statuses: Counter[int] = Counter()
    turns = itertools.count()
    async with asyncio.TaskGroup() as group:
        for _ in range(_LINES):
            group.create_task(_one_line(url, turns, number, body, statuses))
    return statuses


async def _one_line(
    url: str, turns: "itertools.count[int]", number: int, body: bytes, out: Counter[int]
) -> None:
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    while next(turns) < number:
        status, keep = await _exchange(reader, writer, request)
        out[status] += 1
        if not keep:
            writer.close()
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bool]:
    """The status of one reply, and whether the connection may be used again."""
    try:
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length:")[2].partition("\r\n")[0]
        await reader.readexactly(int(length or 0))
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, False
    return int(head.split()[1]), "connection: close" not in head
