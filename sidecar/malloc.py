"""Keeps glibc from giving memory back to the kernel only to ask for it again.

A decoded picture takes a megabyte and a half for some milliseconds. By glibc's own
moving thresholds it is mapped or trimmed, and its pages cleared, again and again.
"""

import ctypes
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_… of malloc.h
_MAPPED_FROM: Final = 32 << 20  # bytes: glibc's greatest; no picture but the largest
_KEPT: Final = 128 << 20  # bytes at the top of the heap


def keep_freed_memory() -> bool:
    """Sets the thresholds of this process; whether its C library has them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    fixed = [mallopt(_MMAP_THRESHOLD, _MAPPED_FROM), mallopt(_TRIM_THRESHOLD, _KEPT)]
    return all(fixed)
