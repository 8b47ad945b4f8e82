"""The stop ends in time, whatever hangs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.app.app_house import configuration

HANGING = """
import asyncio, sys, threading
from pathlib import Path
from sidecar.app import run
from sidecar.config import load
from sidecar.log import setup

setup()
run._STOP_S = 0.2

async def hangs(config, *, stop, path, reload):
    print("up", flush=True)
    await stop.wait()
    if "thread" in sys.argv:
        await asyncio.to_thread(threading.Event().wait)
    if "exit" in sys.argv:
        threading.Thread(target=threading.Event().wait).start()
        return
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

run.run_app = hangs
path = Path(sys.argv[1])
asyncio.run(run.run_until_signal(load(path, {}), path))
"""


def _started(path: Path, what: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", HANGING, str(path), what]
    child = subprocess.Popen(  # noqa: S603 ours
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.send_signal(signal.SIGTERM)
    return child


@pytest.mark.parametrize("what", ["task", "thread", "exit"])
def test_a_stop_that_hangs_is_cut_off(tmp_path: Path, what: str) -> None:
    """A task, a thread under the loop or one that outlives it: the deadline holds."""
    path = configuration(tmp_path, drain_s=0.2)
    with _started(path, what) as child:
        _, said = child.communicate(timeout=20)
    assert child.returncode == -signal.SIGALRM
    assert b"stopping" in said
    assert b"stop_overdue" in said or what == "exit"  # then no loop is left to tell


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Nobody has to wait for the deadline."""
    path = configuration(tmp_path, drain_s=60)
    with _started(path, "task") as child:
        assert child.stderr is not None
        assert b"stopping" in child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)
    assert child.returncode == -signal.SIGTERM
