"""One end of the socket between the sidecar and a worker: whole messages, in order."""

import asyncio
import socket
from typing import Final, Self

from sidecar.workers.codec import MOST_BYTES, WireError, decode, encode
from sidecar.workers.messages import Message

_HEAD: Final = 4  # bytes that tell how many follow


class Channel:
    """Sends without waiting; whoever does not read is noticed by its silence."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Self:
        """Takes over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=sock))

    @property
    def behind(self) -> bool:
        """Whether something was sent that the other side has not taken yet."""
        return self._writer.transport.get_write_buffer_size() > 0

    def send(self, message: Message) -> None:
        """Sends it; into the void if the other side has gone, which `receive` tells."""
        body = encode(message)
        if not self._writer.is_closing():
            self._writer.write(len(body).to_bytes(_HEAD) + body)

    async def receive(self) -> Message | None:
        """The next message; None once the other side has gone.

        Raises:
            WireError: What came is no message.
        """
        try:
            size = int.from_bytes(await self._reader.readexactly(_HEAD))
            if size > MOST_BYTES:
                raise WireError(f"a message of {size} bytes, beyond {MOST_BYTES}")
            return decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        """Both directions, at once."""
        self._writer.transport.abort()
