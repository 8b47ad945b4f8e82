"""Page-locked memory: an NVIDIA device fetches it itself, the driver copies nothing.

onnxruntime's Python interface has no such memory, so CUDA's own function locks ours.
"""

import ctypes
import os
import sys
import weakref
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sidecar.log import get_logger

log = get_logger(__name__)

_LIBRARIES: Final = ("libcudart.so.13", "libcudart.so.12")
_LOCKED_ALREADY: Final = 712  # cudaErrorHostMemoryAlreadyRegistered
_PORTABLE: Final = 1  # cudaHostRegisterPortable: for every device
_LOADED_ONLY: Final = getattr(os, "RTLD_NOLOAD", 0)


@cache
def cuda_runtime() -> Any:  # noqa: ANN401 (a C library)
    """CUDA's runtime library, as onnxruntime has loaded it; None without."""
    for name in _LIBRARIES if sys.platform == "linux" else ():
        try:
            return ctypes.CDLL(name, mode=_LOADED_ONLY | ctypes.DEFAULT_MODE)
        except OSError:
            continue
    return None


class Pins:
    """Locks arrays in memory, each once, and lets them go with the array.

    Where it cannot be, batches are copied as any memory is: slower, and said once.

    Args:
        cudart: CUDA's runtime library; None without.
        device_id: Which device they go to.
    """

    def __init__(self, cudart: Any, device_id: int = 0) -> None:  # noqa: ANN401 (C)
        self._cudart = cudart
        self._device_id = device_id
        self._held: dict[int, Any] = {}  # finalizers, by address; also of those refused

    def pin(self, array: NDArray[np.uint8], address: int) -> None:
        """Locks the memory that `array` owns at `address`, if it is not locked yet."""
        if address in self._held:
            return
        locked = self._lock(address, array.nbytes)
        held = weakref.finalize(array, self._forget, address, locked)
        held.atexit = False  # CUDA may be gone by then
        self._held[address] = held

    def _lock(self, address: int, size: int) -> bool:
        if self._cudart is None:
            log.warning("memory_not_pinned", reason="no CUDA runtime library is loaded")
            return False
        place, length = ctypes.c_void_p(address), ctypes.c_size_t(size)
        self._cudart.cudaSetDevice(self._device_id)  # else a context on the first one
        code = self._cudart.cudaHostRegister(place, length, _PORTABLE)
        if code:
            self._forgive()
        if code and code != _LOCKED_ALREADY:
            log.warning("memory_not_pinned", reason=f"cudaHostRegister: {code}")
        return not code

    def _forgive(self) -> None:
        """Takes back CUDA's note of an error: the thread's next batch would fail."""
        self._cudart.cudaGetLastError()

    def _forget(self, address: int, locked: bool) -> None:  # noqa: FBT001
        del self._held[address]
        if locked and self._cudart.cudaHostUnregister(ctypes.c_void_p(address)):
            self._forgive()
