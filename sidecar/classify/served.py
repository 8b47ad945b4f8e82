"""A model as a serving engine describes it, and what is needed of such a server."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.feed import Tensor


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """A tensor as a server describes it; -1 in `shape`: any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as a server describes it."""

    versions: tuple[str, ...]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """Which model of a server; without a version the server chooses."""

    name: str
    version: str = ""


class Server(Protocol):
    """One endpoint. Every method raises EndpointError if it does not do its part."""

    @property
    def url(self) -> str:
        """As configured: scheme, host and port."""

    async def ready(self, served: Served) -> bool:
        """Whether the model is there and takes batches."""

    async def facts(self, served: Served) -> ModelFacts:
        """How the server describes the model."""

    async def infer(
        self, served: Served, name: str, tensor: Tensor, output: str
    ) -> NDArray[np.float32]:
        """The output of that name for the input of that name."""

    async def close(self) -> None:
        """Lets go of the connection; may be called twice."""
