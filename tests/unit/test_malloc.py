"""Memory that is freed stays with the process, where the C library can be told so."""

import ctypes
import json
import platform
import subprocess
import sys

import pytest

from sidecar.malloc import keep_freed_memory

# Maps and unmaps a picture's worth again and again; prints the page faults it took.
_FAULTS = """
import ctypes, json, resource, sys
from sidecar.malloc import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else None
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def use():
    held = [libc.malloc(3 << 20) for _ in range(4)]
    for one in held:
        ctypes.memset(one, 1, 3 << 20)
    for one in held:
        libc.free(one)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(json.dumps([kept, after - before]))
"""


def _faults(how: str) -> tuple[bool | None, int]:
    found = subprocess.run(  # noqa: S603 our own interpreter
        [sys.executable, "-c", _FAULTS, how], capture_output=True, check=True, text=True
    )
    kept, faults = json.loads(found.stdout)
    return kept, faults


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="thresholds of glibc")
def test_what_was_freed_is_used_again() -> None:
    """Without a page to be cleared; by default it is given back each time."""
    assert _faults("default")[1] > 10_000
    kept, faults = _faults("kept")
    assert kept is True
    assert faults < 100


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has no such setting."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False
