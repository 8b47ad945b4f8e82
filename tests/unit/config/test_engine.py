"""The section `engine`: what the models run on."""

import pytest
from pydantic import ValidationError

from sidecar.config.engine import EngineConfig


def test_nothing_said_is_auto() -> None:
    """The best provider installed; threads and callers by measurement."""
    found = EngineConfig()
    assert found.providers == ("auto",)
    assert found.options == {}
    assert (found.threads, found.callers) == ("auto", "auto")


def test_one_or_several_with_options() -> None:
    """In order of preference; options become text, as the runtime takes them."""
    assert EngineConfig(provider="cuda").providers == ("cuda",)
    found = EngineConfig.model_validate(
        {
            "provider": [
                {"tensorrt": {"trt_fp16_enable": True, "trt_builder_optimization": 3}},
                "cuda",
            ]
        }
    )
    assert found.providers == ("tensorrt", "cuda")
    assert found.options == {
        "tensorrt": {"trt_fp16_enable": "1", "trt_builder_optimization": "3"}
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"provider": "gpu"},
        {"provider": []},
        {"provider": ["auto"]},
        {"provider": [{"gpu": {}}]},
        {"required": True},
        {"threads": 0},
        {"callers": "many"},
        {"memory_limit_mb": 1},
    ],
)
def test_what_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    """Unknown providers, `required` without a name, no threads at all."""
    with pytest.raises(ValidationError):
        EngineConfig.model_validate(bad)


def test_required_goes_with_a_name() -> None:
    """The error says what to write instead."""
    with pytest.raises(ValidationError, match="provider: cuda"):
        EngineConfig(required=True)
    assert EngineConfig(provider="cuda", required=True).required


@pytest.mark.parametrize(
    ("threads", "callers", "cores"),
    [("auto", "auto", 1), (3, "auto", 3), ("auto", 2, 2), (2, 2, 4)],
)
def test_cores_that_are_set_aside(threads: object, callers: object, cores: int) -> None:
    """Threads times callers; what is left open counts as one."""
    found = EngineConfig.model_validate({"threads": threads, "callers": callers})
    assert found.cores_set == cores
