"""A real TURN server (coturn) on loopback."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.e2e.processes import Child, free_port, program, until

USER: Final = "sidecar"
PASSWORD: Final = "correct-horse"  # noqa: S105 of a server that lives for seconds
_BINDING: Final = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)  # RFC 8489


class Coturn:
    """One coturn; up on return."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        options = [
            *("-n", "--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech"),
            *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"),
            *(f"--listening-port={self.port}", f"--user={USER}:{PASSWORD}"),
            *("--realm=test", "--allow-loopback-peers", "--log-file=stdout"),
            f"--pidfile={folder / 'turn.pid'}",
            f"--userdb={folder / 'turn.db'}",
        ]
        command = [program("turnserver"), *options]
        self.child = Child("coturn", command, folder / "coturn.log")
        until(self._answers, 45, "coturn answers")

    @property
    def url(self) -> str:
        """As in RFC 7065."""
        return f"turn:127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        assert self.child.alive, self.child.tail()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            probe.connect(("127.0.0.1", self.port))
            with suppress(OSError):
                probe.send(_BINDING)
                return bool(probe.recv(2048))
        return False
