"""Servers of the Open Inference Protocol: one in memory, and one on the network.

They run the net of `mean_colour`: `GAIN` times the mean of each channel.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from sidecar.classify.feed import Tensor
from sidecar.classify.served import ModelFacts, Served, TensorFacts
from sidecar.errors import EndpointError
from tests.contract.brokers import Certificates
from tests.fakes.http_server import serving
from tests.fakes.onnx_models import GAIN, SIDE

NAME = "mean-colour"
FACTS = ModelFacts(
    versions=("1",),
    inputs=(TensorFacts("x", "FP32", (-1, 3, SIDE, SIDE)),),
    outputs=(TensorFacts("y", "FP32", (-1, 3)),),
)


def begin_polling() -> None:
    """The one thread and socket pair that gRPC keeps in a process, for ever.

    To be called before a test looks for what is left over.
    """

    async def begin() -> None:
        grpc.aio.init_grpc_aio()

    asyncio.run(begin())


def run(tensor: NDArray[Any]) -> NDArray[np.float32]:
    """What the net gives for `(n, 3, side, side)`."""
    raw: NDArray[np.float32] = (GAIN * tensor.mean(axis=(2, 3))).astype(np.float32)
    return raw


@dataclass
class MemoryServer:
    """A server without a network.

    Attributes:
        url: What it is called.
        facts_: What it says of its model.
        error: What it answers everything with; None: it does its part.
        slow: It answers when this is set.
        skew: Added to what it gives: another model.
        asked: Batches that it was put.
    """

    url: str = "http://a:1"
    facts_: ModelFacts = FACTS
    error: EndpointError | None = None
    slow: asyncio.Event | None = None
    is_ready: bool = True
    skew: float = 0.0
    odd: NDArray[np.float32] | None = None
    asked: list[int] = field(default_factory=list)
    closed: bool = False

    async def _part(self) -> None:
        if self.slow is not None:
            await self.slow.wait()
        if self.error is not None:
            raise self.error

    async def ready(self, served: Served) -> bool:
        """See `Server.ready`."""
        await self._part()
        return self.is_ready and served.name == NAME

    async def facts(self, served: Served) -> ModelFacts:
        """See `Server.facts`."""
        await self._part()
        assert served.name == NAME
        return self.facts_

    async def infer(
        self, served: Served, name: str, tensor: Tensor, output: str
    ) -> NDArray[np.float32]:
        """See `Server.infer`."""
        assert (served.name, name, output) == (NAME, "x", "y")
        self.asked.append(len(tensor))
        await self._part()
        if self.odd is not None:
            return self.odd
        raw = run(tensor)
        raw[:, 0] += np.float32(self.skew)
        return raw

    async def close(self) -> None:
        """See `Server.close`."""
        self.closed = True


@dataclass
class NetworkServer:
    """A real HTTP or gRPC server on loopback.

    Attributes:
        binary: Whether it takes binary tensors over HTTP.
        refusal: Answers inference with this status (HTTP) or detail (gRPC).
        body: Answers every request over HTTP with these bytes instead.
        seen: Headers of the requests, lower case.
    """

    binary: bool = False
    body: bytes | None = None
    refusal: str | None = None
    seen: list[dict[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def over_http(self) -> AsyncIterator[str]:
        """Its URL while it runs."""

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 ASGI
            await self._answer(scope, receive, send)

        async with serving(app) as url:
            yield url

    @asynccontextmanager
    async def over_grpc(self, certs: Certificates | None = None) -> AsyncIterator[str]:
        """Its URL while it runs; with certificates both sides have to show theirs."""
        server = grpc.aio.server()
        add_GRPCInferenceServiceServicer_to_server(_Servicer(self), server)
        if certs is None:
            url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        else:
            port = server.add_secure_port("localhost:0", await _credentials(certs))
            url = f"grpcs://localhost:{port}"
        await server.start()
        try:
            yield url
        finally:
            await server.stop(0)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 ASGI
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.seen.append(headers)
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        status, more, reply = self._reply(scope["path"], headers, body)
        shown = [(b"content-length", str(len(reply)).encode()), *more]
        await send({"type": "http.response.start", "status": status, "headers": shown})
        await send({"type": "http.response.body", "body": reply})

    def _reply(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if self.body is not None:
            return 200, [], self.body
        if path == "/v2":
            extensions = ["binary_tensor_data"] if self.binary else []
            return 200, [], json.dumps({"extensions": extensions}).encode()
        if path.endswith("/ready"):
            return 200, [], b""
        if path.endswith("/infer"):
            if self.refusal is not None:
                return int(self.refusal), [], b'{"error": "echo [1,2,3]"}' + body
            return self._infer(headers, body)
        facts = {
            "versions": list(FACTS.versions),
            "inputs": [_json(one) for one in FACTS.inputs],
            "outputs": [_json(one) for one in FACTS.outputs],
        }
        return 200, [], json.dumps(facts).encode()

    def _infer(
        self, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        size = int(headers.get("inference-header-content-length", len(body)))
        asked = json.loads(body[:size])
        (given,) = asked["inputs"]
        if self.binary:
            values = np.frombuffer(body[size:], np.float32)
        else:
            values = np.array(given["data"], np.float32)
        raw = run(values.reshape(given["shape"]))
        output = {"name": "y", "datatype": "FP32", "shape": list(raw.shape)}
        if not self.binary:
            whole = {
                "model_name": NAME,
                "outputs": [{**output, "data": raw.ravel().tolist()}],
            }
            return 200, [], json.dumps(whole).encode()
        told = {**output, "parameters": {"binary_data_size": raw.nbytes}}
        head = json.dumps({"model_name": NAME, "outputs": [told]}).encode()
        length = (b"inference-header-content-length", str(len(head)).encode())
        return 200, [length], head + raw.tobytes()


def _json(facts: TensorFacts) -> dict[str, object]:
    return {
        "name": facts.name,
        "datatype": facts.datatype,
        "shape": list(facts.shape),
    }


async def _credentials(certs: Certificates) -> grpc.ServerCredentials:
    read = asyncio.to_thread
    pair = (
        await read(certs.server_key.read_bytes),
        await read(certs.server.read_bytes),
    )
    return grpc.ssl_server_credentials(
        [pair], await read(certs.ca.read_bytes), require_client_auth=True
    )


class _Servicer(GRPCInferenceServiceServicer):  # type: ignore[misc]  # untyped
    """The same over gRPC."""

    def __init__(self, owner: NetworkServer) -> None:
        self._owner = owner

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return pb.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        kind = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=NAME,
            versions=list(FACTS.versions),
            inputs=[
                kind(name=one.name, datatype=one.datatype, shape=list(one.shape))
                for one in FACTS.inputs
            ],
            outputs=[
                kind(name=one.name, datatype=one.datatype, shape=list(one.shape))
                for one in FACTS.outputs
            ],
        )

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        self._owner.seen.append({k: str(v) for k, v in context.invocation_metadata()})
        if self._owner.refusal is not None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, self._owner.refusal)
        (given,) = request.inputs
        values = np.frombuffer(request.raw_input_contents[0], np.float32)
        raw = run(values.reshape(list(given.shape)))
        output = pb.ModelInferResponse.InferOutputTensor(
            name="y", datatype="FP32", shape=list(raw.shape)
        )
        return pb.ModelInferResponse(
            model_name=NAME, outputs=[output], raw_output_contents=[raw.tobytes()]
        )
