"""SDP from strangers, looked at before any WebRTC library does: pure.

Not a parser of all SDP (RFC 8866): it bounds size and counts, refuses what could be
read in two ways, and tells what WHIP and WHEP have to decide on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sidecar.domain import Codec
from sidecar.ingest.sdp_lines import (
    MAX_BYTES,
    MAX_CANDIDATES,
    SdpError,
    SdpFault,
    candidate_count,
    joined,
    lines_of,
    malformed,
    sections_of,
)

__all__ = [
    "MAX_BYTES",
    "MAX_CANDIDATES",
    "Description",
    "Fragment",
    "SdpError",
    "SdpFault",
    "answer",
    "description",
    "fragment",
    "offer",
    "restarted",
    "trickled",
]


_RTPMAP: Final = re.compile(
    r"a=rtpmap:(\d{1,3}) ([^/ ]+)/\d{1,9}(?:/\d{1,3})?", re.ASCII
)
_FMTP: Final = re.compile(r"a=fmtp:(\d{1,3}) .*", re.ASCII)
_UFRAG: Final = re.compile(r"a=ice-ufrag:([\w+/=-]{4,256})", re.ASCII)
_PWD: Final = re.compile(r"a=ice-pwd:([\w+/=-]{22,256})", re.ASCII)
_FINGERPRINT: Final = re.compile(r"a=fingerprint:[\w-]+ ([0-9A-Fa-f:]+)", re.ASCII)
_DIRECTIONS: Final = ("a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv")
_TRICKLED: Final = ("a=candidate:", "a=end-of-candidates")
_DECODABLE: Final = frozenset(codec.value for codec in Codec)


@dataclass(frozen=True, slots=True)
class Description:
    """What WHIP and WHEP need to know of a session description.

    Attributes:
        text: All of it, lines ended by CRLF.
        ufrag: The ICE user fragment of the video section.
        codecs: Encodings of the video section, upper case, in the order given.
        direction: `sendonly`, `recvonly`, `inactive` or `sendrecv` (the default).
        rejected: The video section has port 0 and is not merely bundled.
        candidates: How many ICE candidates it carries.
    """

    text: str
    ufrag: str
    codecs: tuple[str, ...]
    direction: str
    rejected: bool
    candidates: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle ICE fragment (RFC 8840): its text, ICE credentials, candidates."""

    text: str
    ufrag: str | None
    candidates: int
    pwd: str | None = field(default=None, repr=False)


def offer(body: bytes) -> Description:
    """A publisher's offer with one decodable video track, or SdpError."""
    found = description(body)
    if found.rejected or found.direction in {"recvonly", "inactive"}:
        raise SdpError(SdpFault.TRACKS, "the offer sends no video")
    return _decodable(found)


def answer(body: bytes) -> Description:
    """A server's answer that takes the video section, or SdpError."""
    found = description(body)
    if found.rejected:
        raise SdpError(SdpFault.CODEC, "the server rejected the video section")
    return _decodable(found)


def _decodable(found: Description) -> Description:
    if not _DECODABLE.intersection(found.codecs):
        names = ", ".join(sorted(set(found.codecs)))[:100] or "none"
        message = f"no codec in common: there is {names}; VP8 and H264 are decoded"
        raise SdpError(SdpFault.CODEC, message)
    return found


def description(body: bytes) -> Description:
    """A whole session description with exactly one video section, or SdpError."""
    lines = lines_of(body)
    if not lines or lines[0] != "v=0":
        raise malformed("it does not begin with v=0")
    session, sections = sections_of(lines)
    video = [section for section in sections if section[0].startswith("m=video ")]
    if len(video) != 1:
        message = f"{len(video)} video sections; exactly one can be watched"
        raise SdpError(SdpFault.TRACKS, message)
    ours = session + video[0]
    if not any(line.startswith("a=ice-ufrag:") for line in ours):
        ours = lines  # a bundled section connects as the bundle's first (RFC 9143)
    return Description(
        text=joined(lines),
        ufrag=_needed(_UFRAG, ours, "a=ice-ufrag"),
        codecs=_codecs(video[0]) if _secured(ours) else (),
        direction=_direction(video[0], session),
        rejected=_port(video[0]) == 0 and "a=bundle-only" not in video[0],
        candidates=candidate_count(lines),
    )


def fragment(body: bytes) -> Fragment:
    """The candidates of a trickle ICE fragment (RFC 8840), or SdpError."""
    lines = lines_of(body)
    if not lines:
        raise malformed("the fragment is empty")
    sections_of(lines)
    return Fragment(
        text=joined(lines),
        ufrag=_first(_UFRAG, lines),
        candidates=candidate_count(lines),
        pwd=_first(_PWD, lines),
    )


def _first(pattern: re.Pattern[str], lines: list[str]) -> str | None:
    found = [m for m in map(pattern.fullmatch, lines) if m]
    return found[0].group(1) if found else None


def restarted(ufrag: str, password: str, mid: str, candidates: Sequence[str]) -> str:
    """The fragment that tells our side of a new ICE session (RFC 9725)."""
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}"]
    lines += ["m=video 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    lines += [f"a=candidate:{candidate}" for candidate in candidates]
    return joined([*lines, "a=end-of-candidates"])


def trickled(whole: str) -> tuple[str, str]:
    """An offer of ours as (offer without candidates, fragment with all of them).

    The fragment names the first media section only: with bundling no other gathers.
    """
    lines = whole.splitlines()
    moved = [line for line in lines if line.startswith(_TRICKLED)]
    bare = [line for line in lines if not line.startswith(_TRICKLED)]
    about = [n for n in lines if n.startswith(("a=ice-ufrag:", "a=ice-pwd:"))][:2]
    where = [n for n in sections_of(lines)[1][0] if n.startswith(("m=", "a=mid:"))]
    ordered = dict.fromkeys([*about, *where, *moved, "a=end-of-candidates"])
    return joined(bare), joined(list(ordered))


def _port(section: list[str]) -> int:
    return int(section[0].split(" ")[1].partition("/")[0])


def _needed(pattern: re.Pattern[str], lines: list[str], name: str) -> str:
    """The last value of a line that must be there: the section's, or the session's."""
    found = [m.group(1) for m in map(pattern.fullmatch, lines) if m]
    if not found:
        raise malformed(f"{name} is missing or broken")
    return found[-1]


def _secured(lines: list[str]) -> bool:
    """True, or SdpError: without password and fingerprint no one can connect."""
    _needed(_PWD, lines, "a=ice-pwd")
    _needed(_FINGERPRINT, lines, "a=fingerprint")
    return True


def _codecs(section: list[str]) -> tuple[str, ...]:
    """Encoding names of the section's payload types, upper case, without repeats."""
    listed = set(section[0].split(" ")[3:])
    maps = [m for m in map(_RTPMAP.fullmatch, section) if m]
    mapped = {m.group(1) for m in maps}
    for line in section:
        if line.startswith("a=fmtp:"):
            found = _FMTP.fullmatch(line)
            if found is None or found.group(1) not in mapped:
                raise malformed("parameters are given for a format without a codec")
    return tuple(
        dict.fromkeys(m.group(2).upper() for m in maps if m.group(1) in listed)
    )


def _direction(section: list[str], session: list[str]) -> str:
    for line in (*section, *session):
        if line in _DIRECTIONS:
            return line[2:]
    return "sendrecv"
