"""Sections about the models: which, how one is exchanged, and how they are watched."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from sidecar.config.fields import BearerToken, ExistingFile, InferenceUrl
from sidecar.config.section import Fraction, Seconds, Section
from sidecar.domain import Category
from sidecar.web.auth import is_loopback

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


class RemoteConfig(Section):
    """Servers that speak the Open Inference Protocol and run the models' files.

    Each one is asked in turn, a batch that fails goes to the next. `fallback` runs the
    batch here if none answers; `prove` compares each server's scores with the file's.
    """

    urls: Annotated[tuple[InferenceUrl, ...], Field(min_length=1, max_length=64)]
    model_name: Annotated[str, Field(pattern=r"^[\w.-]{1,128}$")] | None = None
    version: Annotated[str, Field(pattern=r"^[\w.-]{0,64}$")] = ""
    only: tuple[str, ...] = ()
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    probe_s: Annotated[float, Field(gt=0, le=3600)] = 2.0
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    token: BearerToken | None = None
    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None
    fallback: bool = False
    prove: bool = True

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("'cert_file' and 'key_file' go together")
        if len(set(self.urls)) != len(self.urls):
            raise ValueError("each of 'urls' once")
        for url in self.urls:
            if self.token is not None and not _guarded(url):
                raise ValueError(
                    f"the token would go to {url} in the clear; use https:// or grpcs://"
                )
        return self


def _guarded(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"https", "grpcs"} or is_loopback(parts.hostname or "")


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
