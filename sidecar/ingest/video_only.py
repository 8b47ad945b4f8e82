"""A session description cut down to the one video section we take part in; pure.

aiortc would set up a transport, a decoder thread and more for each section of an
offer. It is shown the video section alone, and the others are rejected in the answer
(RFC 9429 section 5.3.1), so that nothing of them ever runs.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

_MAX_CANDIDATES: Final = 32
_TRANSPORT: Final = (
    *("a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:"),
    *("a=setup:", "a=candidate:", "a=end-of-candidates"),
)
# Header extensions are not read, layers of simulcast not told apart.
_UNUSED: Final = ("a=extmap", "a=rid:", "a=simulcast:")
_UNSENT: Final = "goog-remb"  # feedback that a sender would wait for in vain
_KINDS: Final = ("host", "srflx", "relay")
_FIELDS: Final = 8  # of a candidate, at least: foundation … "typ", its type


@dataclass(frozen=True, slots=True)
class VideoOnly:
    """A remote description and its video section.

    Attributes:
        session: Its lines before the first section.
        sections: Its media sections, each a list of lines.
        index: Which of them is the video.
    """

    session: tuple[str, ...]
    sections: tuple[tuple[str, ...], ...]
    index: int

    @classmethod
    def of(cls, sdp: str) -> "VideoOnly":
        """Finds the first video section.

        Raises:
            ValueError: There is none, or it is no SDP.
        """
        session: list[str] = []
        sections: list[list[str]] = []
        for line in sdp.splitlines():
            if line.startswith("m="):
                sections.append([line])
            else:
                (sections[-1] if sections else session).append(line)
        kinds = [section[0].split(" ") for section in sections]
        if any(len(fields) < 4 for fields in kinds):  # noqa: PLR2004
            raise ValueError("a media section is malformed")
        video = [i for i, fields in enumerate(kinds) if fields[0] == "m=video"]
        if not video:
            raise ValueError("there is no video section")
        return cls(tuple(session), tuple(map(tuple, sections)), video[0])

    @property
    def video(self) -> tuple[str, ...]:
        """The lines of the video section."""
        return self.sections[self.index]

    @property
    def rejected(self) -> bool:
        """Whether its port says that it is not taken part in (RFC 9429)."""
        return self.video[0].split(" ")[1] == "0" and "a=bundle-only" not in self.video

    @property
    def direction(self) -> str:
        """`sendonly`, `recvonly`, `inactive` or, by default, `sendrecv`."""
        words = ("sendonly", "recvonly", "inactive")
        for line in (*self.video, *self.session):
            if line.removeprefix("a=") in words:
                return line.removeprefix("a=")
        return "sendrecv"

    @property
    def encodings(self) -> tuple[str, ...]:
        """Names of the codecs in the video section, without repeats."""
        maps = [line for line in self.video if line.startswith("a=rtpmap:")]
        names = [line.partition(" ")[2].partition("/")[0] for line in maps]
        return tuple(dict.fromkeys(name for name in names if name.isalnum()))

    @property
    def other_payload_types(self) -> frozenset[int]:
        """Those of the sections not taken part in: audio that may still be sent."""
        others = [s for i, s in enumerate(self.sections) if i != self.index]
        listed = [word for section in others for word in section[0].split(" ")[3:]]
        return frozenset(int(w) for w in listed if w.isascii() and w.isdecimal())

    @property
    def sprop(self) -> dict[int, str]:
        """H.264 parameter sets by payload type (RFC 6184 section 8.1)."""
        found = {}
        for line in self.video:
            if line.startswith("a=fmtp:"):
                number, _, parameters = line.removeprefix("a=fmtp:").partition(" ")
                for parameter in parameters.split(";"):
                    name, _, value = parameter.strip().partition("=")
                    if name == "sprop-parameter-sets" and number.isdecimal():
                        found[int(number)] = value
        return found

    def mid(self) -> str:
        """The identification of the video section; `0` if it has none.

        Raises:
            ValueError: It is no token.
        """
        for line in self.video:
            if line.startswith("a=mid:"):
                mid = line.removeprefix("a=mid:")
                if not mid or " " in mid:
                    raise ValueError("the video section's mid is malformed")
                return mid
        return "0"

    def narrowed(self) -> str:
        """The description of the video alone, with all that it needs to connect.

        Candidates that cannot be used (TCP, mDNS names, too many) are left out; with
        any of them the end of candidates, for the peer may still be heard from.
        """
        mid = self.mid()
        lines = [line for line in self.video if not line.startswith(_UNUSED)]
        fields = lines[0].split(" ")
        lines[0] = " ".join([fields[0], "9" if fields[1] == "0" else fields[1]])
        lines[0] = " ".join([lines[0], *fields[2:]])
        dropped = {"a=bundle-only", "a=sendrecv", f"a={self.direction}"}
        lines = [
            line for line in lines if line not in dropped and not line.endswith(_UNSENT)
        ]
        lines.append(f"a={self.direction}")
        lines += self._tagged_transport()
        if f"a=mid:{mid}" not in lines:
            lines.append(f"a=mid:{mid}")
        session = [line for line in self.session if not line.startswith("a=group:")]
        kept = [*session, f"a=group:BUNDLE {mid}", *_usable(lines)]
        return "".join(f"{line}\r\n" for line in kept)

    def _tagged_transport(self) -> list[str]:
        """How to connect, where another section of the bundle says it (RFC 9143)."""
        if any(line.startswith("a=ice-ufrag:") for line in self.video):
            return []
        for section in self.sections:
            if any(line.startswith("a=ice-ufrag:") for line in section):
                return [line for line in section if line.startswith(_TRANSPORT)]
        return []

    def widened(self, answer: str) -> str:
        """`answer` to `narrowed` as an answer to the whole, the rest rejected."""
        ours = VideoOnly.of(answer)
        lines = list(ours.session)
        for index, section in enumerate(self.sections):
            lines += ours.video if index == self.index else _rejection(section)
        return "".join(f"{line}\r\n" for line in lines)


def _rejection(section: tuple[str, ...]) -> list[str]:
    """The answer that a section is not taken part in: port 0."""
    kind, _, *rest = section[0].split(" ")
    mids = [line for line in section if line.startswith("a=mid:")]
    return [" ".join([kind, "0", *rest]), "c=IN IP4 0.0.0.0", "a=inactive", *mids]


def is_usable_candidate(value: str) -> bool:
    """Whether the candidate (RFC 8839 section 5.1) is UDP to an address, not a name.

    Raises:
        ValueError: It is no candidate.
    """
    fields = value.split()
    if len(fields) < _FIELDS:
        raise ValueError("a candidate is malformed")
    _, component, transport, _, address, _, _, kind = fields[:_FIELDS]
    try:
        ip_address(address)
    except ValueError:
        return False  # a name, of mDNS or DNS: nothing here looks names up
    return transport.lower() == "udp" and component == "1" and kind in _KINDS


def _usable(lines: list[str]) -> list[str]:
    """`lines` without the candidates that cannot be used."""
    given = [line for line in lines if line.startswith("a=candidate:")]
    kept = [line for line in given if is_usable_candidate(line)][:_MAX_CANDIDATES]
    dropped = set(given) - set(kept)
    if dropped or not kept:
        dropped.add("a=end-of-candidates")
    return [line for line in lines if line not in dropped]
