"""Sections about the models: which, how one is exchanged, and how they are watched."""

from typing import Annotated

from pydantic import Field

from sidecar.config.section import Fraction, Seconds, Section
from sidecar.domain import Category

ModelHash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""As it stands in every action, and in `sidecar models show`."""


class SwapConfig(Section):
    """What a new model has to hold, on live samples, before it takes over.

    `samples: 0` lets it take over at once, without a comparison.
    """

    samples: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    within_s: Seconds = 300.0
    max_mean_difference: Fraction = 1.0
    max_disagreement: Fraction = 0.02


class CanaryConfig(Section):
    """A test card through the real path, now and then; needs the model `testcard`."""

    every_s: Annotated[float, Field(ge=1, le=86_400)]
    category: Category = Category.SEXUAL_EXPLICIT
    min_score: Annotated[float, Field(gt=0, le=1)] = 0.5
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0


class UnchangedConfig(Section):
    """Leaves out pictures that equal the one classified last, for `max_s` at most.

    `noise` is how far a block of 8 by 8 pixels may be off in the mean, of 255.
    """

    max_s: Annotated[float, Field(gt=0, le=3600)]
    noise: Annotated[float, Field(gt=0, le=32)] = 3.0
