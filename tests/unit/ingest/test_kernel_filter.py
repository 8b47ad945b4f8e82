"""The filter in the kernel, on real sockets: what passes and what does not."""

import itertools
import socket
import sys
from collections.abc import Iterator

import pytest

from sidecar.ingest import kernel_filter
from sidecar.ingest.rtp_header import is_rtp

linux = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")

STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
DTLS = b"\x16\xfe\xfd" + bytes(10)
TURN_CHANNEL = b"\x40\x00\x00\x04" + bytes(4)
RTP, RTP_MARKED = b"\x80\x60" + bytes(10), b"\xb0\xe0" + bytes(30)
SENDER_REPORT, FEEDBACK = b"\x80\xc8" + bytes(26), b"\x81\xce" + bytes(10)
OTHERS = [STUN, DTLS, TURN_CHANNEL, SENDER_REPORT, FEEDBACK]


class Pair:
    """A receiving socket, and one to send to it."""

    def __init__(self, family: socket.AddressFamily, host: str) -> None:
        self.receiver = socket.socket(family, socket.SOCK_DGRAM)
        self.sender = socket.socket(family, socket.SOCK_DGRAM)
        self.receiver.bind((host, 0))
        self.receiver.settimeout(0)
        self.sender.connect(self.receiver.getsockname()[:2])

    def pass_through(self, *datagrams: bytes) -> list[bytes]:
        """What of it is received; loopback delivers before `send` returns."""
        for datagram in datagrams:
            self.sender.send(datagram)
        return list(iter(self._next, None))

    def _next(self) -> bytes | None:
        try:
            return self.receiver.recv(2048)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Both."""
        self.receiver.close()
        self.sender.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two sockets of IPv4, then of IPv6."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        sockets = Pair(family, request.param)
    except OSError:
        pytest.skip(f"no {request.param} on this machine")
    yield sockets
    sockets.close()


@linux
def test_only_rtp_is_kept_out(pair: Pair) -> None:
    """STUN, DTLS, TURN channels and RTCP pass; RTP with and without marker does not."""
    assert kernel_filter.attach(pair.receiver)
    assert pair.pass_through(RTP, *OTHERS, RTP_MARKED) == OTHERS


@linux
def test_everything_flows_again(pair: Pair) -> None:
    """Detached, the socket is as before; a second time there is nothing to detach."""
    kernel_filter.attach(pair.receiver)
    assert kernel_filter.detach(pair.receiver)
    assert pair.pass_through(RTP, *OTHERS) == [RTP, *OTHERS]
    assert not kernel_filter.detach(pair.receiver)


@linux
def test_kernel_and_fallback_draw_the_same_line(pair: Pair) -> None:
    """Every first byte with every kind of second one: as `is_rtp` says."""
    kernel_filter.attach(pair.receiver)
    seconds = (0, 96, 127, 128, 191, 192, 200, 207, 208, 223, 224, 255)
    for first, second in itertools.product(range(256), seconds):
        datagram = bytes([first, second, 0, 1])
        passed = pair.pass_through(datagram) == [datagram]
        assert passed is not is_rtp(datagram), (first, second)


@linux
def test_what_is_queued_already_stays(pair: Pair) -> None:
    """Attaching does not look back: the reader has to."""
    pair.sender.send(RTP)
    kernel_filter.attach(pair.receiver)
    assert pair.pass_through(RTP_MARKED) == [RTP]


@linux
def test_attached_twice_is_detached_once(pair: Pair) -> None:
    """The second takes the place of the first."""
    kernel_filter.attach(pair.receiver)
    kernel_filter.attach(pair.receiver)
    kernel_filter.detach(pair.receiver)
    assert pair.pass_through(RTP) == [RTP]


def test_other_systems_have_none(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of another meaning is set there."""
    monkeypatch.setattr("sys.platform", "darwin")
    assert not kernel_filter.attach(pair.receiver)
    assert not kernel_filter.detach(pair.receiver)
    assert pair.pass_through(RTP) == [RTP]


def test_refused_is_told() -> None:
    """A closed socket, or a system that forbids it: False, no error."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.close()
    assert not kernel_filter.attach(sock)
