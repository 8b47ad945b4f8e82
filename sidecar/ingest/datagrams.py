"""What a UDP socket holds, by one system call where there is one for it (Linux).

recvmmsg(2) instead of a recvfrom(2) for each datagram and one more that finds nothing;
who sent a datagram is made out only where it is asked for.
"""

import ctypes
import errno
import socket
import struct
import sys
import threading
from typing import Any, Final

import numpy as np

AT_ONCE: Final = 32  # datagrams of one stream before the others get their turn
LONGEST: Final = 1 << 14  # bytes read of a datagram; the rest is cut off

Address = tuple[Any, ...]  # as recvfrom has it
Origin = Address | bytes  # or as the kernel has it


class _Vector(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("len", ctypes.c_uint32))


class _Batch:
    """Room for one call, used again and again: what was read is copied out at once."""

    _NAME: Final = 28  # bytes of a sockaddr_in6

    def __init__(self) -> None:
        # PyDLL: the call never waits, and giving the interpreter up for it would.
        self._recvmmsg = ctypes.PyDLL(None).recvmmsg
        self._data = bytearray(AT_ONCE * LONGEST)
        self._names = bytearray(AT_ONCE * self._NAME)
        self._messages = (_Message * AT_ONCE)()
        self._vectors = (_Vector * AT_ONCE)()
        data = ctypes.addressof(ctypes.c_char.from_buffer(self._data))
        names = ctypes.addressof(ctypes.c_char.from_buffer(self._names))
        for n, (message, vector) in enumerate(
            zip(self._messages, self._vectors, strict=True)
        ):
            vector.base, vector.len = data + n * LONGEST, LONGEST
            message.header.name = names + n * self._NAME
            message.header.iov = ctypes.addressof(vector)
            message.header.iovlen = 1
        fields = np.frombuffer(memoryview(self._messages).cast("B"), np.uint8).reshape(
            AT_ONCE, -1
        )
        at = _Header.namelen.offset
        self._name_lengths = fields[:, at : at + 4].view(np.uint32)
        self._lengths = fields[:, _Message.len.offset :][:, :4].view(np.uint32)
        self._name_lengths[:] = self._NAME

    def receive(self, sock: socket.socket) -> list[tuple[bytes, Origin]]:
        """As the function of this name."""
        came = self._recvmmsg(sock.fileno(), self._messages, AT_ONCE, 0, None)
        if came <= 0:
            return []
        self._name_lengths[:came] = self._NAME
        view, names = memoryview(self._data), memoryview(self._names)
        size = self._NAME
        return [
            (
                bytes(view[n * LONGEST : n * LONGEST + length]),
                bytes(names[n * size : (n + 1) * size]),
            )
            for n, length in enumerate(self._lengths[:came, 0].tolist())
        ]


_OF_THIS_THREAD: Final = threading.local()


def served() -> bool:
    """Whether the system has the call, and lets us: a sandbox may refuse it."""
    if sys.platform != "linux":
        return False
    recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
    recvmmsg(-1, None, 0, 0, None)
    return ctypes.get_errno() not in {errno.ENOSYS, errno.EPERM}


_SERVED: Final = served()


def receive(sock: socket.socket) -> list[tuple[bytes, Origin]]:
    """At most `AT_ONCE` datagrams and where they are from; fewer: that was all.

    Args:
        sock: Not blocking. An error of it counts as nothing to read.
    """
    if not _SERVED:
        return _one_by_one(sock)
    try:
        batch: _Batch = _OF_THIS_THREAD.batch
    except AttributeError:
        batch = _OF_THIS_THREAD.batch = _Batch()
    return batch.receive(sock)


def address(origin: Origin) -> Address:
    """Where a datagram is from, as recvfrom has it."""
    if not isinstance(origin, bytes):
        return origin
    (family,) = struct.unpack_from("=H", origin)
    (port,) = struct.unpack_from("!H", origin, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, origin[4:8]), port
    flow, host = struct.unpack_from("!L16s", origin, 4)
    (scope,) = struct.unpack_from("=L", origin, 24)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


def _one_by_one(sock: socket.socket) -> list[tuple[bytes, Origin]]:
    """The same without help from the kernel."""
    came: list[tuple[bytes, Origin]] = []
    while len(came) < AT_ONCE:
        try:
            came.append(sock.recvfrom(LONGEST))
        except OSError:
            break
    return came
