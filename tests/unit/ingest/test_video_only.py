"""Descriptions cut down to their video, and answers made whole again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest.video_only import VideoOnly, is_usable_candidate

OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host
a=mid:0
a=sendonly
m=video 0 UDP/TLS/RTP/SAVPF 96 97 98
c=IN IP4 0.0.0.0
a=bundle-only
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=1; sprop-parameter-sets=Z0IAH+k=,aM48gA==
a=simulcast:send h;l
m=application 0 UDP/DTLS/SCTP webrtc-datachannel
a=bundle-only
a=mid:2
""".replace("\n", "\r\n")

ANSWER = """v=0
s=-
a=group:BUNDLE 1
m=video 50001 UDP/TLS/RTP/SAVPF 96 97
a=mid:1
a=recvonly
""".replace("\n", "\r\n")


def test_video_is_kept_with_the_transport_of_its_bundle() -> None:
    """A bundled section connects by what the first one says (RFC 9143)."""
    lines = VideoOnly.of(OFFER).narrowed().splitlines()
    assert [n for n in lines if n.startswith("m=")] == [
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98"
    ]
    assert "a=group:BUNDLE 1" in lines
    assert "a=ice-ufrag:abcd" in lines
    assert "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host" in lines
    assert "a=bundle-only" not in lines
    assert lines.count("a=sendonly") == 1


def test_what_is_not_used_is_not_negotiated() -> None:
    """No header extensions, simulcast or REMB: nobody here reads or sends them."""
    narrowed = VideoOnly.of(OFFER).narrowed()
    assert not any(word in narrowed for word in ("extmap:", "simulcast", "goog-remb"))
    assert "a=rtcp-fb:96 nack pli" in narrowed


def test_other_sections_are_rejected_in_their_place() -> None:
    """An answer has every section of the offer, in order; port 0 is a no."""
    lines = VideoOnly.of(OFFER).widened(ANSWER).splitlines()
    assert [n for n in lines if n.startswith("m=")] == [
        "m=audio 0 UDP/TLS/RTP/SAVPF 111 0",
        "m=video 50001 UDP/TLS/RTP/SAVPF 96 97",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]
    assert [n for n in lines if n.startswith("a=mid")] == [
        "a=mid:0",
        "a=mid:1",
        "a=mid:2",
    ]
    assert "a=group:BUNDLE 1" in lines


def test_facts_of_the_video() -> None:
    """Codecs, parameter sets, other tracks' payload types, direction."""
    remote = VideoOnly.of(OFFER)
    assert remote.encodings == ("VP8", "rtx", "H264")
    assert remote.sprop == {98: "Z0IAH+k=,aM48gA=="}
    assert remote.other_payload_types == {111, 0}
    assert remote.direction == "sendonly"
    assert remote.mid() == "1"
    assert not remote.rejected


def test_defaults_of_a_bare_description() -> None:
    """No direction means both, no mid becomes 0, no transport stays none."""
    remote = VideoOnly.of("v=0\r\nm=video 9 X 96\r\nm=audio 9 X 0\r\n")
    assert remote.direction == "sendrecv"
    narrowed = remote.narrowed()
    assert "a=mid:0" in narrowed
    assert "a=sendrecv" in narrowed
    assert "ice-ufrag" not in narrowed


def test_direction_of_the_session_holds_for_the_video() -> None:
    """A session may say it for all its sections (RFC 8866 section 6.7)."""
    remote = VideoOnly.of("v=0\r\na=inactive\r\nm=video 9 X 96\r\n")
    assert remote.direction == "inactive"


def test_port_zero_is_a_rejection() -> None:
    """Unless the section is merely bundled."""
    assert VideoOnly.of("v=0\r\nm=video 0 X 96\r\n").rejected


@pytest.mark.parametrize(
    "sdp", ["", "v=0\r\n", "v=0\r\nm=audio 9 X 0\r\n", "m=video\r\n"]
)
def test_without_video_there_is_nothing(sdp: str) -> None:
    """No usable video section is an error."""
    with pytest.raises(ValueError, match=r"video|media"):
        VideoOnly.of(sdp)


@pytest.mark.parametrize("mid", ["", "0 1"])
def test_identification_that_is_no_token_is_refused(mid: str) -> None:
    """It would be read as several, or none, in the group of the bundle."""
    with pytest.raises(ValueError, match="mid"):
        VideoOnly.of(f"v=0\r\nm=video 9 X 96\r\na=mid:{mid}\r\n").narrowed()


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("1 1 udp 1 192.0.2.7 5 typ host", True),
        ("1 1 UDP 1 2001:db8::7 5 typ srflx raddr 0.0.0.0 rport 9", True),
        ("1 1 tcp 1 192.0.2.7 9 typ host tcptype active", False),
        ("1 1 udp 1 f00-ba4.local 5 typ host", False),
        ("1 2 udp 1 192.0.2.7 5 typ host", False),
        ("1 1 udp 1 192.0.2.7 5 typ prflx", False),
    ],
)
def test_usable_candidates(value: str, *, usable: bool) -> None:
    """UDP, of the first component, to an address."""
    assert is_usable_candidate(value) is usable


def test_malformed_candidate_is_an_error() -> None:
    """Too few fields cannot be read."""
    with pytest.raises(ValueError, match="candidate"):
        is_usable_candidate("1 1 udp")


def _video(*attributes: str) -> str:
    return "".join(
        f"{n}\r\n" for n in ("v=0", "m=video 9 X 96", "a=ice-ufrag:abcd", *attributes)
    )


def test_end_of_candidates_stays_only_if_all_were_usable() -> None:
    """A browser's hidden addresses may still be heard from: not the end of them."""
    host = "a=candidate:1 1 udp 1 192.0.2.7 5 typ host"
    hidden = "a=candidate:1 1 udp 1 f00.local 5 typ host"
    end = "a=end-of-candidates"
    assert end in VideoOnly.of(_video(host, end)).narrowed()
    assert end not in VideoOnly.of(_video(host, hidden, end)).narrowed()
    assert end not in VideoOnly.of(_video(end)).narrowed()
    many = [host.replace(" 5 ", f" {port} ") for port in range(1, 60)]
    narrowed = VideoOnly.of(_video(*many, end)).narrowed()
    assert narrowed.count("a=candidate") == 32


@given(st.text(alphabet="mav=:0 \r\nidevo/", max_size=200))
def test_any_text_is_described_or_refused(text: str) -> None:
    """A stranger's text never raises anything but ValueError."""
    try:
        remote = VideoOnly.of(text)
        remote.widened(remote.narrowed())
    except ValueError:
        return
    assert remote.direction
