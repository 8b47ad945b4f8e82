"""The parts of a model's card: input, output, labels, where it comes from."""

import datetime as dt
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from sidecar.classify.labels import Combine
from sidecar.domain import Category

_CSEA: Final = (
    "no generic model may claim child sexual exploitation: such a category comes only"
    " from a known-hash match, a person or a child-safety tool; map the label to"
    " sexual.explicit, other or null"
)

Text = Annotated[str, Field(min_length=1, max_length=2000)]
TensorName = Annotated[str, Field(min_length=1, max_length=200)]
Side = Annotated[int, Field(ge=8, le=4096)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=1e-6, le=1e6)]
Mean = Annotated[tuple[Finite, Finite, Finite], Field(strict=False)]
Std = Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]


def _note(value: object) -> object:
    """Anything that fits on a line of a model card."""
    if not isinstance(value, str | int | float | dt.date | None):
        raise ValueError("should be a text, a number or a date")  # noqa: TRY004
    return value


Note = Annotated[object, BeforeValidator(_note)]


class Card(BaseModel):
    """Frozen; unknown keys refused; no silent conversions (`"1"` is no number)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=False
    )


Resize = Literal[
    "area",
    "bilinear",
    "fast_bilinear",
    "bicubic",
    "point",
    "lanczos",
    "bilinear_align_corners",
]


class Provenance(Card):
    """Where the file comes from; further keys are free notes."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Note]
    source: Text


class ModelInput(Card):
    """The tensor that takes the pictures."""

    name: TensorName
    width: Side
    height: Side
    color: Literal["rgb", "bgr"]
    layout: Literal["nhwc", "nchw"]
    dtype: Literal["uint8", "float32"]
    scale: Positive = 1.0
    mean: Mean = (0.0, 0.0, 0.0)
    std: Std = (1.0, 1.0, 1.0)
    resize: Resize
    fit: Literal["squash", "crop", "pad_end", "pad_center"] = "squash"
    keep: Annotated[float, Field(gt=0.25, le=1)] = 1.0
    pad: Annotated[int, Field(ge=0, le=255)] = 0

    @property
    def plain(self) -> bool:
        """Whether the net is fed the byte values as they are."""
        return (self.scale, self.mean, self.std) == (1.0, (0.0,) * 3, (1.0,) * 3)

    @model_validator(mode="after")
    def _bytes_are_plain(self) -> "ModelInput":
        """A net that takes bytes does its own arithmetic."""
        if self.dtype == "uint8" and not self.plain:
            raise ValueError(
                "scale, mean and std belong to a float32 input; a uint8 net does its"
                " own arithmetic, leave them out"
            )
        return self

    @model_validator(mode="after")
    def _bars_or_cut(self) -> "ModelInput":
        """What is padded is not cut off as well."""
        if self.keep != 1.0 and self.fit.startswith("pad"):
            raise ValueError(f"keep is for fit: squash or crop, not for {self.fit}")
        return self


class ModelOutput(Card):
    """The tensor of scores, `(n, labels)`.

    `activation` is what is still to be applied; with `none` the scores are 0…1.
    `combine` defaults to `max` after a sigmoid and to `sum` otherwise.
    """

    name: TensorName
    activation: Literal["none", "softmax", "sigmoid"]
    combine: Literal["sum", "max"] | None = None

    @model_validator(mode="after")
    def _no_sum_of_sigmoids(self) -> "ModelOutput":
        """Independent scores may sum to anything."""
        if self.activation == "sigmoid" and self.combine == "sum":
            raise ValueError("scores after a sigmoid do not add up; use combine: max")
        return self

    @property
    def combination(self) -> Combine:
        """`combine`, or its default."""
        if self.combine is not None:
            return Combine(self.combine)
        return Combine.MAX if self.activation == "sigmoid" else Combine.SUM


def _category(value: object) -> object:
    """A category by its value, or the sentence that says why not."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"should be one of {_known()}, or null")  # noqa: TRY004 (pydantic)
    if value.lower().startswith("csea"):
        raise ValueError(_CSEA)
    if value not in list(Category):
        raise ValueError(f"should be one of {_known()}, or null")
    return Category(value)


def _known() -> str:
    """All categories, for a mend."""
    return ", ".join(Category)


class Label(Card):
    """One column of the output; `category: null` leaves it out of every decision."""

    name: Annotated[str, Field(pattern=r"^[\w .:/()&-]{1,64}$")]
    category: Annotated[Category | None, BeforeValidator(_category)]

    @field_validator("name")
    @classmethod
    def _no_csea(cls, name: str) -> str:
        """A label is published with its score, so it may not claim it either."""
        if any(word in name.lower() for word in ("csea", "csam")):
            raise ValueError(_CSEA)
        return name
