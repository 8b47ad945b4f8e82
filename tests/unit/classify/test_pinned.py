"""Memory is locked once, and let go before it is freed; the real CUDA: test_gpu."""

import ctypes

import numpy as np
import pytest
from structlog.testing import capture_logs

from sidecar.classify.pinned import Pins


class Cudart:
    """Notes what it is asked to lock; says `code`."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.locked: dict[int | None, int] = {}
        self.calls = 0
        self.last_error = 0
        self.device: int | None = None

    def cudaSetDevice(self, device: int) -> int:  # noqa: N802
        """See CUDA's reference."""
        self.device = device
        return 0

    def cudaGetLastError(self) -> int:  # noqa: N802
        """Tells it, and forgets it."""
        told, self.last_error = self.last_error, 0
        return told

    def cudaHostRegister(  # noqa: N802 (CUDA's name)
        self, place: ctypes.c_void_p, length: ctypes.c_size_t, flags: int
    ) -> int:
        """See CUDA's reference."""
        assert flags == 1
        self.calls += 1
        self.last_error = self.code
        if not self.code:
            self.locked[place.value] = length.value
        return self.code

    def cudaHostUnregister(self, place: ctypes.c_void_p) -> int:  # noqa: N802
        """See CUDA's reference."""
        del self.locked[place.value]
        return 0


def test_memory_is_locked_once_until_it_goes() -> None:
    """Whole, at its address; asked for again it costs nothing."""
    cudart = Cudart()
    pins = Pins(cudart, device_id=1)
    array = np.zeros((3, 4, 4, 3), np.uint8)
    address = array.ctypes.data
    pins.pin(array, address)
    pins.pin(array, address)
    assert cudart.locked == {address: array.nbytes}
    assert cudart.calls == 1
    assert cudart.device == 1
    del array
    assert not cudart.locked


@pytest.mark.parametrize(
    ("cudart", "told"),
    [(None, "no CUDA runtime library is loaded"), (Cudart(2), "cudaHostRegister: 2")],
)
def test_without_it_everything_goes_on(cudart: Cudart | None, told: str) -> None:
    """Said once, not a batch; nothing is let go that was never locked."""
    pins = Pins(cudart)
    array = np.zeros((1, 4, 4, 3), np.uint8)
    with capture_logs() as logs:
        for _ in range(3):
            pins.pin(array, array.ctypes.data)
    del array
    assert cudart is None or cudart.last_error == 0  # or the next batch would fail
    assert [(one["event"], one["reason"]) for one in logs] == [
        ("memory_not_pinned", told)
    ]


def test_what_another_lane_has_locked_is_its_own() -> None:
    """No warning, and it is not let go here."""
    cudart = Cudart(712)
    pins = Pins(cudart)
    array = np.zeros((1, 4, 4, 3), np.uint8)
    with capture_logs() as logs:
        pins.pin(array, array.ctypes.data)
    del array
    assert not logs
    assert cudart.last_error == 0
