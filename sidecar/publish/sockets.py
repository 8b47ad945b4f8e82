"""An aiomqtt client that never watches a socket which is closed already.

aiomqtt 2.5 hands the descriptor's number to the loop for later; a connection that
breaks in between leaves an error there, or a watch on whatever got the same number
next. It also keeps a task for keepalives; here the connection's holder calls `tick`.
"""

import asyncio
import socket
import ssl
from typing import Any, cast

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


class WatchedClient(aiomqtt.Client):
    """Reads and writes when the loop says so, while the socket is the client's."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        # aiomqtt leaves the reason unread if the client is closed after it; asyncio
        # would report that as an exception that nobody retrieved.
        self._disconnected.add_done_callback(_read_reason)

    def tick(self) -> None:
        """Keepalives; call it about once a second."""
        self._client.loop_misc()

    def _on_socket_open(
        self,
        client: PahoClient,  # noqa: ARG002  # paho's own signature
        userdata: Any,  # noqa: ANN401, ARG002
        sock: Any,  # noqa: ANN401
    ) -> None:
        # Else a small packet waits for the acknowledgement of the one before: 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.call_soon_threadsafe(self._watch_reads, sock)

    def _on_socket_register_write(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ANN401, ARG002
        sock: Any,  # noqa: ANN401
    ) -> None:
        self._loop.call_soon_threadsafe(self._watch_writes, sock)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,  # noqa: ANN401
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        self._loop.call_soon_threadsafe(self._hung_up)

    def _hung_up(self) -> None:
        """Aiomqtt would wait out its time for an answer that cannot come any more."""
        if not self._connected.done():
            self._connected.set_exception(
                aiomqtt.MqttError("the peer hung up before an answer")
            )

    def _watch_reads(self, sock: Any) -> None:  # noqa: ANN401
        if self._is_open(sock):
            self._loop.add_reader(sock.fileno(), self._read)

    def _watch_writes(self, sock: Any) -> None:  # noqa: ANN401
        if self._is_open(sock) and self._client.want_write():
            self._loop.add_writer(sock.fileno(), self._write)

    def _is_open(self, sock: Any) -> bool:  # noqa: ANN401
        mine = cast("object", self._client.socket()) is sock
        return mine and bool(sock.fileno() >= 0)

    def _read(self) -> None:
        try:
            self._client.loop_read()
            # Bytes that TLS has decrypted already do not make the descriptor readable.
            while self._pending():
                self._client.loop_read()
        except OSError as exc:
            self._broke(exc)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except OSError as exc:
            self._broke(exc)

    def _pending(self) -> bool:
        sock = cast("object", self._client.socket())
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def _broke(self, error: OSError) -> None:
        if not self._disconnected.done():
            self._disconnected.set_exception(error)


def _read_reason(lost: asyncio.Future[None]) -> None:
    if not lost.cancelled():
        lost.exception()
