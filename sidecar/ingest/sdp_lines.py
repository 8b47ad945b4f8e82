"""SDP as lines: bounded, of one reading only, and cut into its sections; pure."""

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

MAX_BYTES: Final = 65_536
MAX_LINES: Final = 2_000  # a browser's offer of all its codecs has about 200
MAX_LINE: Final = 2_048
MAX_MEDIA: Final = 8
MAX_CANDIDATES: Final = 64

_LINE: Final = re.compile("[a-z]=.*")
_MEDIA: Final = re.compile(
    r"m=(\w+) (\d{1,5})(?:/\d+)? ([A-Z/]+)((?: [\w-]{1,32})+)", re.ASCII
)
_CANDIDATE: Final = re.compile(
    r"a=candidate:[\w+/=-]{1,64} \d{1,3} \w{1,16} \d{1,10} ([\w.:-]{1,255}) (\d{1,5})"
    r" typ \w{1,16}(?: .*)?",
    re.ASCII,
)
_LAST_PORT: Final = 65_535


class SdpFault(StrEnum):
    """What is wrong, as far as the answer to its sender differs."""

    MALFORMED = "malformed"
    TRACKS = "tracks"  # well-formed, but not exactly one video track
    CODEC = "codec"  # well-formed, but nothing that can be decoded


class SdpError(ValueError):
    """The SDP cannot be used; the message quotes none of it."""

    def __init__(self, fault: SdpFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def joined(lines: list[str]) -> str:
    """`lines`, each ended by CRLF."""
    return "".join(f"{line}\r\n" for line in lines)


def malformed(message: str) -> SdpError:
    """The error for what is no SDP, or too much of it."""
    return SdpError(SdpFault.MALFORMED, message)


def lines_of(body: bytes) -> list[str]:
    """The lines of `body`, each `x=…`, bounded in number and length."""
    if len(body) > MAX_BYTES:
        raise malformed(f"longer than {MAX_BYTES} bytes")
    try:
        text = body.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise malformed("not UTF-8") from None
    lines = text.replace("\r\n", "\n").split("\n") if text else []
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
        raise malformed("too many lines, or one too long")
    # isprintable also refuses the bytes at which str.splitlines would split again.
    if not all(line.isprintable() and _LINE.fullmatch(line) for line in lines):
        raise malformed("a line is not of the form x=value")
    return lines


def sections_of(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """The session's lines, and each media section's."""
    session: list[str] = []
    media: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            media.append([line])
        else:
            (media[-1] if media else session).append(line)
    if len(media) > MAX_MEDIA or not all(_MEDIA.fullmatch(m[0]) for m in media):
        raise malformed(f"a media line is broken, or there are over {MAX_MEDIA}")
    return session, media


def candidate_count(lines: list[str]) -> int:
    """How many there are, each to an address or an mDNS name, and not too many."""
    found = [line for line in lines if line.startswith("a=candidate:")]
    if len(found) > MAX_CANDIDATES or not all(map(_is_candidate, found)):
        raise malformed(f"a candidate is broken, or there are over {MAX_CANDIDATES}")
    return len(found)


def _is_candidate(line: str) -> bool:
    """Whether it can be tried without asking a name server on a stranger's behalf."""
    found = _CANDIDATE.fullmatch(line)
    if found is None or int(found.group(2)) > _LAST_PORT:
        return False
    return found.group(1).endswith(".local") or _is_address(found.group(1))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
