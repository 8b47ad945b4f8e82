"""The RTP header as it stands on the wire (RFC 3550 section 5.1); pure.

SRTP leaves it in the clear: what a packet is can be told before it is decrypted.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

_FIXED: Final = Struct("!BBHLL")
_LENGTH: Final = _FIXED.size
_VERSION_MASK, _VERSION_2 = 0xC0, 0x80
_PADDING, _EXTENSION, _CSRC_COUNT = 0x20, 0x10, 0x0F
_EXTENSION_HEADER: Final = 4
_MARKER: Final = 0x80
RTP_FIRST: Final = 128  # of byte 0 (RFC 7983)
RTP_END: Final = 192
RTCP_FIRST: Final = 192  # of byte 1, where RTP shares the port (RFC 5761)
RTCP_END: Final = 224


class Header(NamedTuple):
    """The fields of an RTP header that a receiver goes by."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int


def is_rtp(datagram: bytes) -> bool:
    """Whether it is RTP: neither STUN, DTLS nor RTCP (RFC 7983, RFC 5761)."""
    return (
        len(datagram) > 1
        and RTP_FIRST <= datagram[0] < RTP_END
        and not RTCP_FIRST <= datagram[1] < RTCP_END
    )


def is_rtcp(datagram: bytes) -> bool:
    """Whether it is RTCP (RFC 7983, RFC 5761)."""
    return (
        len(datagram) > 1
        and RTP_FIRST <= datagram[0] < RTP_END
        and RTCP_FIRST <= datagram[1] < RTCP_END
    )


def parse(datagram: bytes) -> Header | None:
    """The header; None if `datagram` is no RTP packet."""
    if len(datagram) < _LENGTH:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(datagram)
    if first & _VERSION_MASK != _VERSION_2:
        return None
    return Header(second & 0x7F, second >= _MARKER, sequence, timestamp, ssrc)


def is_marked(datagram: bytes) -> bool:
    """Whether an RTP packet is the last of its picture."""
    return datagram[1] >= _MARKER


def payload_of(packet: bytes) -> bytes | None:
    """What a decrypted packet carries, without padding; None if it is malformed."""
    first = packet[0]
    if first == _VERSION_2:
        return packet[_LENGTH:]  # nothing but the fixed header
    start = _LENGTH + 4 * (first & _CSRC_COUNT)
    if first & _EXTENSION:
        words = packet[start + 2 : start + _EXTENSION_HEADER]
        if len(words) < _EXTENSION_HEADER // 2:
            return None
        start += _EXTENSION_HEADER + 4 * int.from_bytes(words, "big")
    end = len(packet)
    if first & _PADDING:
        padding = packet[-1]
        end -= padding
        if not padding:
            return None
    return packet[start:end] if start <= end else None


def runs(datagrams: Iterable[bytes]) -> Iterator[tuple[Header, list[bytes]]]:
    """RTP packets by what belongs together: of one source, type and picture, in order.

    Each with the first one's header. What is no RTP packet is left out.
    """
    header: Header | None = None
    together: list[bytes] = []
    following = -1, False, -1, -1, -1
    for datagram in datagrams:
        one = parse(datagram)
        if one is None:
            continue
        payload_type, marker, sequence, timestamp, ssrc = one
        if (payload_type, False, sequence, timestamp, ssrc) == following:
            together.append(datagram)
        else:
            if header is not None:
                yield header, together
            header, together = one, [datagram]
        following = payload_type, marker, (sequence + 1) & 0xFFFF, timestamp, ssrc
    if header is not None:
        yield header, together
