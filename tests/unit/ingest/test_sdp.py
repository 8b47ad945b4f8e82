"""SDP from strangers: any bytes are a description, or SdpError."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest import sdp, sdp_lines
from tests.fakes.sdp_texts import ANSWER, FRAGMENT, OFFER, description


def _fault(body: bytes | str) -> sdp.SdpFault:
    with pytest.raises(sdp.SdpError) as caught:
        sdp.offer(body.encode() if isinstance(body, str) else body)
    return caught.value.fault


def test_offer_is_understood() -> None:
    """A usable offer tells its codecs, ICE user fragment and candidates."""
    found = sdp.offer(OFFER.encode())
    assert found.codecs == ("VP8", "H264")
    assert found.ufrag == "abcd"
    assert found.direction == "sendonly"
    assert found.candidates == 1
    assert found.text == OFFER


def test_browsers_own_lines_are_taken() -> None:
    """Parameters of a known format and mDNS names are no reason to refuse."""
    body = OFFER.replace("a=mid:0", "a=mid:0\r\na=fmtp:97 packetization-mode=1")
    body = body.replace("127.0.0.1 40000", "0f1e.local 40000")
    assert sdp.offer(body.encode()).candidates == 1


def test_line_ends_are_mended() -> None:
    """Bare line feeds and empty lines at the end become plain CRLF lines."""
    assert sdp.offer(OFFER.replace("\r\n", "\n").encode() + b"\r\n\n").text == OFFER


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\xff\xfe",
        b"v=1\r\n",
        b"<html></html>",
        OFFER.replace("v=0", "v=0\x0b"),
        OFFER.replace("s=-", "s=a\u2028b"),
        OFFER.replace("s=-", "session"),
        OFFER.replace("s=-", "s=" + "x" * sdp_lines.MAX_LINE),
        OFFER + "a=x\r\n" * sdp_lines.MAX_LINES,
        OFFER + "a=" + "x" * sdp.MAX_BYTES,
        OFFER.replace("m=video 9", "m=video nine"),
        OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * sdp_lines.MAX_MEDIA,
        OFFER.replace("a=ice-ufrag:abcd\r\n", ""),
        OFFER.replace("a=ice-pwd:", "a=ice-pwd:short\r\na=x:"),
        OFFER.replace("a=fingerprint:", "a=x:"),
        OFFER.replace("typ host", "typ"),
        OFFER.replace("127.0.0.1 40000", "127.0.0.1 65536"),
        OFFER.replace("127.0.0.1 40000", "1.1 40000"),
        OFFER.replace("127.0.0.1 40000", "internal.example 40000"),
        OFFER.replace("a=mid:0", "a=mid:0\r\na=fmtp:127 x=y"),
        OFFER.replace("a=mid:0", "a=mid:0\r\na=fmtp:96"),
        OFFER + "a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\n" * sdp.MAX_CANDIDATES,
    ],
)
def test_malformed(body: bytes | str) -> None:
    """What is too much, unreadable or readable in two ways is malformed."""
    assert _fault(body) is sdp.SdpFault.MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        OFFER.replace("m=video", "m=audio"),
        OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        description("VP8", direction="recvonly"),
        description("VP8", direction="inactive"),
        description("VP8", port=0),
    ],
)
def test_not_one_video_track(body: str) -> None:
    """Exactly one video track that sends can be watched, no less and no more."""
    assert _fault(body) is sdp.SdpFault.TRACKS


def test_a_second_track_cannot_hide_in_upper_case_or_rejection() -> None:
    """A second video section counts even if its port is 0 at first."""
    assert _fault(OFFER + "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n") is sdp.SdpFault.TRACKS


@pytest.mark.parametrize("codecs", [("VP9",), ("AV1", "H265"), ()])
def test_nothing_decodable(codecs: tuple[str, ...]) -> None:
    """Other codecs than VP8 and H.264 are a fault of their own, with their names."""
    body = description(*codecs) if codecs else OFFER.replace("a=rtpmap", "a=x")
    with pytest.raises(sdp.SdpError, match=r"VP9|H265|none") as caught:
        sdp.offer(body.encode())
    assert caught.value.fault is sdp.SdpFault.CODEC


def test_a_map_without_payload_type_does_not_count() -> None:
    """A codec that the media line does not list is not offered."""
    body = description("VP9") + "a=rtpmap:120 VP8/90000\r\n"
    assert _fault(body) is sdp.SdpFault.CODEC


def test_bundled_section_with_port_zero_is_not_rejected() -> None:
    """Port 0 with bundle-only means: through the other section's transport."""
    body = description("VP8", port=0) + "a=bundle-only\r\n"
    assert not sdp.offer(body.encode()).rejected


def test_session_level_values_hold() -> None:
    """Direction may stand in the session part; without any it is sendrecv."""
    bare = OFFER.replace("a=sendonly\r\n", "")
    assert sdp.offer(bare.encode()).direction == "sendrecv"
    inherited = bare.replace("t=0 0", "t=0 0\r\na=recvonly")
    assert _fault(inherited) is sdp.SdpFault.TRACKS


def test_answer() -> None:
    """An answer that sends is taken; a rejected section is about the codec."""
    assert sdp.answer(ANSWER.encode()).codecs == ("VP8",)
    with pytest.raises(sdp.SdpError) as caught:
        sdp.answer(description("VP8", port=0).encode())
    assert caught.value.fault is sdp.SdpFault.CODEC
    inactive = description("VP8", direction="inactive")
    assert sdp.answer(inactive.encode()).direction == "inactive"


def test_bundled_section_connects_as_the_first() -> None:
    """ICE credentials may stand in another section of the bundle alone."""
    ice = "a=ice-ufrag:wxyz\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    own = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    audio = f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n{ice}"
    bundled = OFFER.replace(own, "").replace("m=video", f"{audio}m=video")
    assert sdp.offer(bundled.encode()).ufrag == "wxyz"


def test_fragment() -> None:
    """A trickle fragment tells user fragment and candidates; empty is malformed."""
    found = sdp.fragment(FRAGMENT.encode())
    assert (found.ufrag, found.candidates, found.text) == ("abcd", 1, FRAGMENT)
    assert sdp.fragment(b"a=end-of-candidates\r\n").ufrag is None
    with pytest.raises(sdp.SdpError):
        sdp.fragment(b"")


def test_trickled_moves_the_candidates() -> None:
    """Offer and fragment together hold what the whole offer held, nothing twice."""
    bare, fragment = sdp.trickled(OFFER)
    assert "candidate" not in bare
    assert sdp.offer(bare.encode()).candidates == 0
    found = sdp.fragment(fragment.encode())
    assert (found.ufrag, found.candidates) == ("abcd", 1)
    assert fragment.count("a=end-of-candidates") == 1
    assert fragment.index("m=video") < fragment.index("a=candidate")


@given(st.binary(max_size=400))
def test_any_bytes(body: bytes) -> None:
    """Arbitrary bytes are a value or SdpError, never another exception."""
    for read in (sdp.offer, sdp.answer, sdp.fragment):
        with suppress(sdp.SdpError):
            read(body)


@given(st.data())
def test_any_mutation(data: st.DataObject) -> None:
    """A valid offer with lines cut, doubled or overwritten: a value or SdpError."""
    lines = OFFER.encode().split(b"\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        piece = data.draw(st.binary(max_size=20) | st.sampled_from(lines))
        lines[at : at + data.draw(st.integers(0, 1))] = [piece]
    try:
        found = sdp.offer(b"\r\n".join(lines))
    except sdp.SdpError:
        return
    assert {"VP8", "H264"} & set(found.codecs)
    assert found.candidates <= sdp.MAX_CANDIDATES
