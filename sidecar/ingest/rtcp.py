"""What a sender says of itself by RTCP (RFC 3550 section 6), as plain values; pure."""

from struct import Struct
from typing import Final, NamedTuple

_HEADER: Final = Struct("!BBH")
_SENDER: Final = Struct("!4xLxxHHxx4xL")  # ssrc, NTP's middle 32 bits, packets
_VERSION_MASK, _VERSION_2, _COUNT = 0xC0, 0x80, 0x1F
_SENDER_REPORT, _BYE = 200, 203


class SenderReport(NamedTuple):
    """A sender's account.

    Attributes:
        ssrc: Whose.
        middle: The middle 32 bits of its NTP timestamp.
        packets: Sent so far, modulo 2³².
    """

    ssrc: int
    middle: int
    packets: int


class Bye(NamedTuple):
    """Sources that have left."""

    sources: tuple[int, ...]


def parse(data: bytes) -> list[SenderReport | Bye]:
    """What is of interest in a compound packet, up to where it is malformed."""
    found: list[SenderReport | Bye] = []
    at = 0
    while at + _HEADER.size <= len(data):
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first & _VERSION_MASK != _VERSION_2 or end > len(data):
            break
        if kind == _SENDER_REPORT and end - at >= _SENDER.size:
            ssrc, high, low, packets = _SENDER.unpack_from(data, at)
            found.append(SenderReport(ssrc, high << 16 | low, packets))
        elif kind == _BYE:
            count = min(first & _COUNT, words)
            found.append(Bye(Struct(f"!{count}L").unpack_from(data, at + 4)))
        at = end
    return found
