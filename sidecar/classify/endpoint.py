"""One server of a remote engine: vetted before it is trusted, left alone if broken."""

import asyncio
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.breaker import Breaker
from sidecar.classify.feed import Tensor, activated, feed
from sidecar.classify.manifest import Manifest
from sidecar.classify.remote_fit import faults
from sidecar.classify.served import Served, Server
from sidecar.domain import Picture
from sidecar.errors import EndpointError

_ROUNDING: Final = 1e-4  # a softmax in float32 ends within 1e-6 of 0 and 1
_PARITY: Final = 1e-2  # fp16 on a GPU: 1e-3; another model: 1e-1 and more


@dataclass(frozen=True, slots=True)
class Proof:
    """What the model's file says of a few pictures, run here: a server has to agree."""

    pictures: tuple[Picture, ...]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """What servers run.

    Attributes:
        manifest: Of the file, and what its columns mean.
        served: What the servers call it.
        proof: If given, a server is trusted only if it agrees.
    """

    manifest: Manifest
    served: Served
    proof: Proof | None = None


class Endpoint:
    """A server, what is known of it, and whether batches may be sent there.

    Args:
        server: Asked.
        model: What it is asked about.
        timeout_s: For each answer.
        breaker: When it is left alone.
    """

    def __init__(
        self, server: Server, model: RemoteModel, timeout_s: float, breaker: Breaker
    ) -> None:
        self.breaker = breaker
        self.vetted = False
        self._server = server
        self._model = model
        self._timeout_s = timeout_s

    @property
    def url(self) -> str:
        """Which server."""
        return self._server.url

    @property
    def usable(self) -> bool:
        """Whether it runs our model, and is not left alone."""
        return self.vetted and self.breaker.closed

    def failed(self, now: float) -> bool:
        """Counts against it; whether it is left alone from now on.

        It is vetted again before it is trusted: it may come back with another model.
        """
        was_closed = self.breaker.closed
        self.breaker.failed(now)
        if not was_closed or self.breaker.closed:
            return False
        self.vetted = False
        return True

    async def ask(self, tensor: Tensor) -> NDArray[np.float32]:
        """Scores `(n, labels)`, checked.

        Raises:
            EndpointError: None came in time, or they are none.
        """
        manifest = self._model.manifest
        raw = await self._infer(tensor)
        wanted = (len(tensor), len(manifest.labels))
        if raw.shape != wanted:
            told = f"scores of shape {raw.shape} instead of {wanted}"
            raise EndpointError(self.url, told)
        scores = activated(raw, manifest.output)
        # NaN fails both comparisons.
        if not (scores.min() >= -_ROUNDING and scores.max() <= 1 + _ROUNDING):
            raise EndpointError(self.url, "scores are not finite numbers in 0…1")
        clipped: NDArray[np.float32] = np.clip(scores, 0.0, 1.0)
        return clipped

    async def _infer(self, tensor: Tensor) -> NDArray[np.float32]:
        manifest = self._model.manifest
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._server.infer(
                    self._model.served,
                    manifest.input.name,
                    tensor,
                    manifest.output.name,
                )
        except TimeoutError as exc:
            told = f"no answer within {self._timeout_s:g} s"
            raise EndpointError(self.url, told) from exc

    async def vet(self) -> list[str]:
        """What is wrong with what it runs; it is trusted if nothing is.

        Raises:
            EndpointError: It cannot be asked, or is not ready.
        """
        await self.require_ready()
        served, manifest = self._model.served, self._model.manifest
        try:
            async with asyncio.timeout(self._timeout_s):
                facts = await self._server.facts(served)
        except TimeoutError as exc:
            raise EndpointError(self.url, "it does not describe its model") from exc
        found = faults(manifest, served, facts) or await self._disproved()
        self.vetted = not found
        if self.vetted:
            self.breaker.succeeded()
        return [f"{self.url}: model {served.name!r}: {fault}" for fault in found]

    async def require_ready(self) -> None:
        """Raises EndpointError unless the server says that the model is ready."""
        try:
            async with asyncio.timeout(self._timeout_s):
                ready = await self._server.ready(self._model.served)
        except TimeoutError as exc:
            raise EndpointError(self.url, "it does not say how it is") from exc
        if not ready:
            name = self._model.served.name
            raise EndpointError(self.url, f"model {name!r} is not ready")

    async def _disproved(self) -> list[str]:
        """One sentence, if it scores otherwise than the file does here."""
        proof, manifest = self._model.proof, self._model.manifest
        if proof is None:
            return []
        found = await self.ask(feed(proof.pictures, manifest.input))
        off = float(np.abs(found - proof.scores).max())
        if off <= _PARITY:
            return []
        told = (
            f"its scores are off by {off:.3g} from those of {manifest.ref.hash} run"
            " here; it serves another model, or feeds it otherwise"
        )
        return [told]

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._server.close()
