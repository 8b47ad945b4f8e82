"""Which provider is tried, in which order, with which options."""

import pytest

from sidecar.classify.providers import (
    PROVIDERS,
    Asked,
    Got,
    Input,
    is_half,
    options_of,
    shapes_for,
    wanted,
)

GPU_BUILD = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "CPUExecutionProvider",
)
INTEL_BUILD = ("OpenVINOExecutionProvider", "CPUExecutionProvider")
BATCH = Input("pixels", 224, 192, 16)


def test_auto_tries_what_is_installed_fastest_first() -> None:
    """What is not installed is nobody's disappointment; the CPU comes last."""
    assert wanted(Asked(), GPU_BUILD) == (["tensorrt", "cuda", "cpu"], [])
    assert wanted(Asked(), INTEL_BUILD) == (["openvino", "cpu"], [])
    assert wanted(Asked(), tuple(PROVIDERS.values()))[0] == list(PROVIDERS)


def test_a_named_one_that_is_missing_is_told() -> None:
    """With the reason; then the CPU does."""
    names, missing = wanted(Asked(("cuda",)), INTEL_BUILD)
    assert names == ["cpu"]
    assert missing == [
        ("cuda", "the installed runtime has no CUDAExecutionProvider"),
    ]


def test_a_required_one_has_no_substitute() -> None:
    """Not even the CPU, unless it is what was asked for."""
    assert wanted(Asked(("cuda",), required=True), INTEL_BUILD)[0] == []
    assert wanted(Asked(("cuda", "cpu"), required=True), GPU_BUILD)[0] == [
        "cuda",
        "cpu",
    ]


def test_memory_is_limited_on_accelerators() -> None:
    """2 GiB unless it is set; the arena grows by what is asked for, not by doubling."""
    cuda = options_of("cuda", Asked(device_id=1), 1, BATCH)
    assert cuda["gpu_mem_limit"] == str(2 << 30)
    assert cuda["arena_extend_strategy"] == "kSameAsRequested"
    assert (cuda["device_id"], cuda["enable_cuda_graph"]) == ("1", "0")
    small = Asked(memory_limit=1 << 28, graphs=True)
    assert options_of("cuda", small, 1, BATCH)["gpu_mem_limit"] == str(1 << 28)
    assert options_of("cuda", small, 1, BATCH)["enable_cuda_graph"] == "1"
    assert options_of("tensorrt", small, 1, BATCH)["trt_max_workspace_size"] == str(
        1 << 28
    )


def test_tensorrt_builds_one_engine_for_all_sizes() -> None:
    """From 1 to the largest, best at the largest."""
    found = options_of("tensorrt", Asked(half=True), 1, BATCH)
    assert found["trt_profile_min_shapes"] == "pixels:1x224x192x3"
    assert found["trt_profile_opt_shapes"] == "pixels:16x224x192x3"
    assert found["trt_profile_max_shapes"] == "pixels:16x224x192x3"
    assert found["trt_fp16_enable"] == "1"


def test_the_operators_options_come_last() -> None:
    """They win over ours."""
    asked = Asked(options={"cuda": {"gpu_mem_limit": "7", "do_copy": "1"}})
    found = options_of("cuda", asked, 1, BATCH)
    assert (found["gpu_mem_limit"], found["do_copy"]) == ("7", "1")
    assert options_of("cpu", asked, 1, BATCH) == {}


@pytest.mark.parametrize(
    ("name", "device", "half"),
    [
        ("tensorrt", "CPU", True),
        ("openvino", "GPU", True),
        ("openvino", "CPU", False),
        ("cuda", "GPU", False),
        ("cpu", "CPU", False),
    ],
)
def test_half_precision_where_it_is_served(
    name: str, device: str, *, half: bool
) -> None:
    """Opt-in; OpenVINO has it on GPUs only, CUDA runs what the model says."""
    asked = Asked(half=True, options={"openvino": {"device_type": device}})
    assert is_half(name, asked) is half
    assert not is_half(name, Asked())
    if name == "openvino":
        precision = options_of(name, asked, 3, BATCH)["precision"]
        assert precision == ("FP16" if half else "FP32")


def test_padding_is_for_accelerators() -> None:
    """On a CPU each padded picture would cost as much as a real one."""
    assert shapes_for("cpu", 4).sizes == (1, 2, 3, 4)
    assert shapes_for("cuda", 4).sizes == (1, 2, 4)


def test_the_reasons_in_one_line() -> None:
    """As they are logged and shown."""
    got = Got("cpu", refused=(("cuda", "no driver"), ("openvino", "no GPU")))
    assert got.why_not == "cuda: no driver; openvino: no GPU"
    assert not Got("cpu").why_not
