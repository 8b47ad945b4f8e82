"""A filter in the kernel that lets a UDP socket receive all but RTP (Linux).

Classic BPF by SO_ATTACH_FILTER, socket(7); needs no privilege. What it drops costs no
system call, no wake-up and no copy.
"""

import ctypes
import socket
import struct
import sys
from asyncio.trsock import TransportSocket
from typing import Final

from sidecar.ingest import rtp_header

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
_PAYLOAD: Final = 8  # the program sees the UDP header first, on IPv4 and IPv6 alike
_LOAD_BYTE, _IF_AT_LEAST, _RETURN = 0x30, 0x35, 0x06  # BPF_LD|ABS|B, JMP|JGE|K, RET|K
_ALL, _NONE = 0xFFFF_FFFF, 0  # bytes to keep of a datagram

# (code, skip if true, skip if false, operand); a load beyond the end drops.
_INSTRUCTIONS: Final = (
    (_LOAD_BYTE, 0, 0, _PAYLOAD),
    (_IF_AT_LEAST, 4, 0, rtp_header.RTP_END),
    (_IF_AT_LEAST, 0, 3, rtp_header.RTP_FIRST),
    (_LOAD_BYTE, 0, 0, _PAYLOAD + 1),
    (_IF_AT_LEAST, 0, 2, rtp_header.RTCP_FIRST),
    (_IF_AT_LEAST, 1, 0, rtp_header.RTCP_END),
    (_RETURN, 0, 0, _ALL),
    (_RETURN, 0, 0, _NONE),
)
_CODE: Final = ctypes.create_string_buffer(
    b"".join(struct.pack("HBBI", *instruction) for instruction in _INSTRUCTIONS)
)
_PROGRAM: Final = struct.pack("HP", len(_INSTRUCTIONS), ctypes.addressof(_CODE))

AnySocket = socket.socket | TransportSocket


def attach(sock: AnySocket) -> bool:
    """Keeps RTP out of `sock` from now on; whether the system lets us.

    What is queued in it already is still to be read.
    """
    return _set(sock, _SO_ATTACH_FILTER, _PROGRAM)


def detach(sock: AnySocket) -> bool:
    """Lets everything in again; whether there was a filter."""
    return _set(sock, _SO_DETACH_FILTER, struct.pack("i", 0))


def _set(sock: AnySocket, option: int, value: bytes) -> bool:
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError:
        return False
    return True
