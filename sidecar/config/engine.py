"""What the models run on, and how much of it they may take."""

from math import prod
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from sidecar.config.models import RemoteConfig
from sidecar.config.section import Section

Provider = Literal[
    "tensorrt", "cuda", "rocm", "migraphx", "openvino", "coreml", "directml", "cpu"
]
Option = str | bool | int | float
WithOptions = dict[Provider, dict[str, Option]]
Count = Annotated[int, Field(ge=1, le=256)]
AUTO: Final = "auto"


class EngineConfig(Section):
    """The runtime, its threads, and when to give up on it."""

    provider: (
        Literal["auto"]
        | Provider
        | Annotated[tuple[Provider | WithOptions, ...], Field(min_length=1)]
    ) = AUTO
    required: bool = False
    fp16: bool = False
    device_id: Annotated[int, Field(ge=0, le=255)] = 0
    memory_limit_mb: Annotated[int, Field(ge=16, le=1_000_000)] | None = None
    cuda_graphs: bool = False
    threads: Literal["auto"] | Count = AUTO
    callers: Literal["auto"] | Count = AUTO
    max_consecutive_errors: Annotated[int, Field(ge=1)] = 5
    remote: RemoteConfig | None = None

    @model_validator(mode="after")
    def _required_is_named(self) -> Self:
        if self.required and self.provider == AUTO:
            raise ValueError(
                "required: true goes with a named provider: with auto whatever is"
                " installed will do; say for instance provider: cuda"
            )
        return self

    @property
    def providers(self) -> tuple[str, ...]:
        """The names, most wanted first; `auto` alone if none is named."""
        if isinstance(self.provider, str):
            return (self.provider,)
        entries = ([p] if isinstance(p, str) else list(p) for p in self.provider)
        return tuple(name for entry in entries for name in entry)

    @property
    def cores_set(self) -> int:
        """How many cores were set aside for it; what is left open counts as 1."""
        counts = (n for n in (self.threads, self.callers) if n != AUTO)
        return prod(counts)

    @property
    def options(self) -> dict[str, dict[str, str]]:
        """Each provider's own options, as its runtime takes them: text."""
        listed = () if isinstance(self.provider, str) else self.provider
        return {
            name: {key: _text(value) for key, value in options.items()}
            for entry in listed
            if not isinstance(entry, str)
            for name, options in entry.items()
        }


def _text(value: Option) -> str:
    """True and False are 1 and 0 to most providers."""
    return str(int(value)) if isinstance(value, bool) else str(value)
