"""Datagrams out of a socket, many at a time, the same as one by one."""

import ctypes
import errno
import socket
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest import datagrams
from sidecar.ingest.datagrams import AT_ONCE, LONGEST, address, receive

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}

linux = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is Linux's")


def pair(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """One that listens and does not block, and one that sends to it."""
    near, far = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    near.bind((HOSTS[family], 0))
    near.settimeout(0)
    far.bind((HOSTS[family], 0))
    far.connect(near.getsockname())
    return near, far


@pytest.fixture(params=HOSTS, ids=["IPv4", "IPv6"])
def sockets(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Of either family."""
    near, far = pair(request.param)
    yield near, far
    near.close()
    far.close()


@pytest.fixture(params=["at once", "one by one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the kernel's help."""
    if request.param == "one by one":
        monkeypatch.setattr(datagrams, "_SERVED", False)
    elif sys.platform != "linux":
        pytest.skip("recvmmsg is Linux's")


@pytest.mark.usefixtures("way")
def test_each_as_it_was_sent_and_from_whom(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """Order, lengths (none, a packet's, the longest) and addresses as recvfrom's."""
    near, far = sockets
    sent = [b"", b"a", bytes(range(256)) * 5, bytes(LONGEST), b"b" * (LONGEST + 9)]
    for one in sent:
        far.send(one)
    came = receive(near)
    assert [data for data, _ in came] == [one[:LONGEST] for one in sent]
    assert {address(origin) for _, origin in came} == {far.getsockname()}
    assert receive(near) == []


@pytest.mark.usefixtures("way")
def test_no_more_than_the_others_can_wait_for(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """The rest comes with the next call, and nothing is left of the one before."""
    near, far = sockets
    sent = [number.to_bytes(2, "big") * (50 - number) for number in range(AT_ONCE + 3)]
    for one in sent:
        far.send(one)
    assert [data for data, _ in receive(near)] == sent[:AT_ONCE]
    assert [data for data, _ in receive(near)] == sent[AT_ONCE:]


@pytest.mark.usefixtures("way")
def test_a_closed_socket_has_nothing(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """Nor has one whose peer is gone, which the kernel tells by an error."""
    near, far = sockets
    near.connect(far.getsockname())
    far.close()
    near.send(b"nobody is there")
    assert receive(near) == []
    near.close()
    assert receive(near) == []


@linux
@pytest.mark.parametrize(
    ("number", "there"),
    [(errno.EBADF, True), (errno.ENOSYS, False), (errno.EPERM, False)],
)
def test_a_system_that_refuses_the_call_is_noticed(
    monkeypatch: pytest.MonkeyPatch, number: int, *, there: bool
) -> None:
    """A sandbox would else leave every socket unread, and the loop spinning."""

    def recvmmsg(*_: object) -> int:
        ctypes.set_errno(number)
        return -1

    library = SimpleNamespace(recvmmsg=recvmmsg)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    assert datagrams.served() is there


@linux
def test_both_families_in_turn() -> None:
    """The shorter address of the one before does not cut off the next."""
    ends = [pair(family) for family in HOSTS]
    for _ in range(2):
        for near, far in ends:
            far.send(b"x")
            ((_, origin),) = receive(near)
            assert address(origin) == far.getsockname()
    for near, far in ends:
        near.close()
        far.close()


@linux
@given(
    st.sampled_from(sorted(HOSTS)),
    st.integers(1, 65_535),
    st.binary(min_size=16, max_size=16),
)
def test_an_address_as_the_kernel_has_it(
    family: socket.AddressFamily, port: int, host: bytes
) -> None:
    """Any of them, not only this machine's."""
    order = sys.byteorder
    if family == socket.AF_INET:
        raw = family.to_bytes(2, order) + port.to_bytes(2, "big") + host[:4]
        expected = socket.inet_ntop(family, host[:4]), port
        assert address(raw.ljust(28, b"\0")) == expected
    else:
        head = family.to_bytes(2, order) + port.to_bytes(2, "big")
        raw = head + (7).to_bytes(4, "big") + host + (3).to_bytes(4, order)
        assert address(raw) == (socket.inet_ntop(family, host), port, 7, 3)


@linux
def test_loops_in_several_threads_do_not_mix_theirs() -> None:
    """Each thread has room of its own."""
    rounds = 200
    mixed: list[bytes] = []

    def listen(mark: bytes) -> None:
        near, far = pair(socket.AF_INET)
        for _ in range(rounds):
            for _ in range(8):
                far.send(mark * 1000)
            came = [data for data, _ in receive(near)]
            mixed.extend(data for data in came if data != mark * 1000)
        near.close()
        far.close()

    threads = [threading.Thread(target=listen, args=(mark,)) for mark in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []
