"""A real Mosquitto on a free loopback port."""

import os
from pathlib import Path

from tests.e2e.processes import Child, free_port, listening, program, until

_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
max_queued_messages 10000
log_dest stderr
"""


class Mosquitto:
    """The broker; keeps sessions and retained messages over a SIGKILL."""

    def __init__(self, folder: Path) -> None:
        self._binary = program("mosquitto")
        self.port = free_port()
        self._folder = folder
        self._conf = folder / "mosquitto.conf"
        text = _CONF.format(port=self.port, folder=folder)
        if os.geteuid() == 0:
            text += "user root\n"
        self._conf.write_text(text)
        self.child = self._start()

    def _start(self) -> Child:
        child = Child(
            "mosquitto",
            [self._binary, "-c", str(self._conf)],
            self._folder / "mosquitto.log",
        )
        until(lambda: listening(self.port) or not child.alive, 45, "mosquitto listens")
        assert child.alive, child.tail()
        return child

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def restart(self) -> None:
        """Starts again on the same port, with what it had saved."""
        assert not self.child.alive
        self.child = self._start()
