"""Which of the runtime's execution providers a model runs on. Pure.

`auto` tries what is installed, the fastest kind first. A provider that is installed may
still not work here, for want of a driver or a library: that is found out by trying, and
told, never passed over in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sidecar.classify.shapes import BatchShapes, doubling, fine

AUTO: Final = "auto"
CPU: Final = "cpu"

# In the order in which `auto` tries them; the names are onnxruntime's.
PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tensorrt": "TensorrtExecutionProvider",
        "cuda": "CUDAExecutionProvider",
        "rocm": "ROCMExecutionProvider",
        "migraphx": "MIGraphXExecutionProvider",
        "openvino": "OpenVINOExecutionProvider",
        "coreml": "CoreMLExecutionProvider",
        "directml": "DmlExecutionProvider",
        CPU: "CPUExecutionProvider",
    }
)
ON_HOST: Final = frozenset({CPU, "openvino"})  # measured for threads and callers
ON_CUDA: Final = frozenset({"tensorrt", "cuda"})
_HALF: Final = frozenset({"tensorrt", "migraphx", "openvino"})
DEFAULT_MEMORY: Final = 2 << 30  # bytes, of an accelerator

Options = Mapping[str, str]
_NONE: Final[Mapping[str, Options]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator wants the model to run on.

    Attributes:
        providers: Names of `PROVIDERS`, the most wanted first, or `auto` alone.
        options: A provider's own options, over ours.
        required: Refuse to start rather than to run on anything else.
        half: Compute in half precision where the provider serves it.
        device_id: Which of several accelerators.
        memory_limit: Bytes for batches: on an accelerator each model's, 2 GiB if None;
            on the CPU those of all models together, without a limit if None.
        graphs: Record CUDA graphs: less overhead a batch, if the model allows it.
    """

    providers: tuple[str, ...] = (AUTO,)
    options: Mapping[str, Options] = field(default_factory=lambda: _NONE)
    required: bool = False
    half: bool = False
    device_id: int = 0
    memory_limit: int | None = None
    graphs: bool = False


@dataclass(frozen=True, slots=True)
class Got:
    """What a model runs on, and why on nothing that was wanted more.

    Attributes:
        provider: Its name here.
        half: Whether it computes in half precision.
        refused: Those tried or wanted before it, each with the reason.
    """

    provider: str
    half: bool = False
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def why_not(self) -> str:
        """The reasons in one line; empty if it is what was wanted most."""
        return "; ".join(f"{name}: {why}" for name, why in self.refused)


def wanted(
    asked: Asked, available: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """What to try, in order, and what cannot be had, with the reason.

    The CPU is tried last of all, unless `required` forbids it.

    Args:
        asked: By the operator.
        available: onnxruntime's names of what is installed.
    """
    names = list(PROVIDERS) if AUTO in asked.providers else list(asked.providers)
    missing = [
        (name, f"the installed runtime has no {PROVIDERS[name]}")
        for name in names
        if PROVIDERS[name] not in available and AUTO not in asked.providers
    ]
    found = [name for name in names if PROVIDERS[name] in available]
    if CPU not in found and not asked.required:
        found.append(CPU)
    return found, missing


def is_half(name: str, asked: Asked) -> bool:
    """Whether the provider will compute in half precision; OpenVINO not on a CPU."""
    on_cpu = name == "openvino" and _openvino_device(asked) == "CPU"
    return asked.half and name in _HALF and not on_cpu


def _openvino_device(asked: Asked) -> str:
    return asked.options.get("openvino", {}).get("device_type", "CPU")


def shapes_for(name: str, largest: int) -> BatchShapes:
    """The batch sizes that are run on a provider."""
    return fine(largest) if name == CPU else doubling(largest)


@dataclass(frozen=True, slots=True)
class Input:
    """What a batch looks like to the runtime: `uint8 (n, height, width, 3)`."""

    name: str
    height: int
    width: int
    largest: int

    def profile(self, batch: int) -> str:
        """A batch's shape as TensorRT's options write it."""
        return f"{self.name}:{batch}x{self.height}x{self.width}x3"


def options_of(name: str, asked: Asked, threads: int, batch: Input) -> Options:
    """A provider's options; the operator's own come last.

    Args:
        name: Of `PROVIDERS`.
        asked: By the operator.
        threads: Cores a batch may use, for what runs on the CPU.
        batch: The graph's input.
    """
    half, graphs = str(int(is_half(name, asked))), str(int(asked.graphs))
    device = {"device_id": str(asked.device_id)}
    limit = str(asked.memory_limit or DEFAULT_MEMORY)
    arena = {"gpu_mem_limit": limit, "arena_extend_strategy": "kSameAsRequested"}
    known: dict[str, dict[str, str]] = {
        "cuda": {**device, **arena, "enable_cuda_graph": graphs},
        "tensorrt": {
            **device,
            "trt_max_workspace_size": limit,
            "trt_fp16_enable": half,
            "trt_cuda_graph_enable": graphs,
            "trt_profile_min_shapes": batch.profile(1),
            "trt_profile_opt_shapes": batch.profile(batch.largest),
            "trt_profile_max_shapes": batch.profile(batch.largest),
        },
        "rocm": {**device, **arena},
        "migraphx": {**device, "migraphx_fp16_enable": half},
        "openvino": {
            "device_type": _openvino_device(asked),
            "num_of_threads": str(threads),
            "precision": "FP16" if is_half(name, asked) else "FP32",
        },
        "directml": device,
    }
    return {**known.get(name, {}), **asked.options.get(name, {})}
