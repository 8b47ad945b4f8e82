"""Session descriptions as browsers and servers write them, made up and minimal."""

from typing import Final

_FINGERPRINT: Final = ":".join(["AB"] * 32)


def description(
    *video: str, direction: str = "sendonly", port: int = 9, session: str = ""
) -> str:
    """One video section with `video` codecs, e.g. `VP8`, by CRLF lines."""
    numbers = " ".join(str(96 + n) for n in range(len(video)))
    maps = [f"a=rtpmap:{96 + n} {name}/90000" for n, name in enumerate(video)]
    lines = [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"),
        *([session] if session else []),
        f"m=video {port} UDP/TLS/RTP/SAVPF {numbers}",
        *("c=IN IP4 0.0.0.0", f"a={direction}", "a=mid:0", "a=rtcp-mux"),
        *maps,
        *("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx"),
        f"a=fingerprint:sha-256 {_FINGERPRINT}",
        "a=setup:actpass",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host",
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)


OFFER: Final = description("VP8", "H264")
ANSWER: Final = description("VP8").replace("actpass", "active")
FRAGMENT: Final = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    "a=candidate:2 1 udp 2130706430 127.0.0.1 40001 typ host\r\n"
    "a=end-of-candidates\r\n"
)
RESTARTED: Final = FRAGMENT.replace("abcd", "wxyz", 1)
