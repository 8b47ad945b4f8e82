"""One caller's memory and bindings on a session; no two threads share a lane.

All of it is made once. A batch whose pictures lie side by side is read where it lies;
any other is gathered first, which is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sidecar.arena import first_of
from sidecar.classify.pinned import Pins, cuda_runtime
from sidecar.classify.shapes import BatchShapes
from sidecar.domain import Picture

Rows = NDArray[np.float32]
_CUDA: Final = "cuda"
_KEPT: Final = 1024  # bindings; to bind an input anew takes 6 µs (one EPYC core)


@dataclass(frozen=True, slots=True)
class Ends:
    """A session's input and output.

    Attributes:
        pixels: Name of the input, `uint8 (n, *picture)`.
        scores: Name of the output, `float32 (n, labels)`.
        picture: Height, width, 3.
        labels: Columns of the scores.
        shapes: The batch sizes that are run.
        device_id: Of an accelerator.
        graphs: Whether batches are replayed as CUDA graphs.
    """

    pixels: str
    scores: str
    picture: tuple[int, int, int]
    labels: int
    shapes: BatchShapes
    device_id: int = 0
    graphs: bool = False


class Lane(Protocol):
    """What the engine needs of either kind."""

    gathered: int

    def run(self, batch: Sequence[Picture]) -> Rows:
        """Scores, one row a picture, in memory of their own; onnxruntime's errors."""
        ...


class HostLane:
    """The model reads the pictures' own memory and writes into ours.

    Attributes:
        gathered: Batches that had to be copied together.
    """

    def __init__(self, session: Any, ends: Ends) -> None:  # noqa: ANN401 (untyped)
        self.gathered = 0
        self._session = session
        self._ends = ends
        self._room = np.zeros((ends.shapes.largest, *ends.picture), np.uint8)
        self._rows: Rows = np.zeros((ends.shapes.largest, ends.labels), np.float32)
        self._room_at = self._room.ctypes.data
        self._bindings: dict[tuple[int, int], Any] = {}  # by size and address

    def run(self, batch: Sequence[Picture]) -> Rows:
        """See `Lane`."""
        size = self._ends.shapes.fitting(len(batch))
        first = first_of(batch, size)
        address = self._gather(batch, size) if first is None else first.address
        binding = self._bindings.get((size, address)) or self._bound(size, address)
        # Without run options: with them it takes 8 % longer (1.32, 1 ms a picture), and
        # a run that hangs heeds no `terminate` either.
        self._session.run_with_iobinding(binding)
        return self._rows[: len(batch)].copy()

    def _bound(self, size: int, address: int) -> Any:  # noqa: ANN401 (untyped)
        """A binding of pictures at `address`, whose output lies in our memory; kept."""
        binding = self._session.io_binding()
        ends, rows = self._ends, self._rows[:size]
        shape = (size, *ends.picture)
        binding.bind_input(ends.pixels, "cpu", 0, np.uint8, shape, address)
        binding.bind_output(
            ends.scores, "cpu", 0, np.float32, rows.shape, rows.ctypes.data
        )
        if len(self._bindings) >= _KEPT:  # memory that comes and goes
            self._bindings.clear()
        self._bindings[size, address] = binding
        return binding

    def _gather(self, batch: Sequence[Picture], size: int) -> int:
        """The address of the pictures, copied side by side."""
        self.gathered += 1
        gather(batch, self._room[:size])
        return self._room_at


class DeviceLane:
    """The pictures' bytes go to the accelerator as they are, and become floats there.

    Input and output of each size have their place on the device once and for all, as a
    CUDA graph demands; the pictures' memory is page-locked when it is first seen. Not
    tried on a device yet: tests marked `gpu`.

    Attributes:
        gathered: Batches that had to be copied together.
    """

    def __init__(self, session: Any, ends: Ends) -> None:  # noqa: ANN401 (untyped)
        self.gathered = 0
        self._session = session
        self._ends = ends
        self._room = np.zeros((ends.shapes.largest, *ends.picture), np.uint8)
        sizes = ends.shapes.sizes
        self._inputs = {s: self._value((s, *ends.picture), np.uint8) for s in sizes}
        self._outputs = {s: self._value((s, ends.labels), np.float32) for s in sizes}
        self._bindings = {size: self._bound(size) for size in sizes}
        self._options = {size: self._graph(size) for size in sizes}
        self._pins = Pins(cuda_runtime(), ends.device_id)
        self._pins.pin(self._room, self._room.ctypes.data)

    def run(self, batch: Sequence[Picture]) -> Rows:
        """See `Lane`."""
        size = self._ends.shapes.fitting(len(batch))
        first = first_of(batch, size)
        if first is None:
            self.gathered += 1
            pixels = gather(batch, self._room[:size])
        else:
            self._pins.pin(first.slots.array, first.slots.address)
            pixels = first.slots.array[first.index : first.index + size]
        self._inputs[size].update_inplace(pixels)
        self._session.run_with_iobinding(self._bindings[size], self._options[size])
        rows: Rows = self._outputs[size].numpy()
        return rows[: len(batch)]

    def _value(self, shape: tuple[int, ...], kind: type) -> Any:  # noqa: ANN401
        """Memory on the device."""
        return ort.OrtValue.ortvalue_from_shape_and_type(
            shape, kind, _CUDA, self._ends.device_id
        )

    def _bound(self, size: int) -> Any:  # noqa: ANN401 (untyped)
        """A binding of one size, both ends on the device."""
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._ends.pixels, self._inputs[size])
        binding.bind_ortvalue_output(self._ends.scores, self._outputs[size])
        return binding

    def _graph(self, size: int) -> Any:  # noqa: ANN401 (untyped)
        """Options of a run: each size is a graph of its own."""
        if not self._ends.graphs:
            return None
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(size))
        return options


def gather(batch: Sequence[Picture], room: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copies the pictures into `room`, which may have places to spare."""
    for place, picture in zip(room, batch, strict=False):
        np.copyto(place, picture, casting="no")
    return room
