"""Servers that speak the Open Inference Protocol; the one home of tritonclient.

Triton, KServe, OpenVINO Model Server, Ray Serve and MLServer do, over HTTP and gRPC:
https://github.com/kserve/open-inference-protocol. Needs the extra `remote`.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import grpc
import numpy as np
import tritonclient.grpc.aio as over_grpc
import tritonclient.http.aio as over_http
from numpy.typing import NDArray
from tritonclient.grpc import InferInput as GrpcInput
from tritonclient.grpc import InferRequestedOutput as GrpcOutput
from tritonclient.http import InferInput as HttpInput
from tritonclient.http import InferRequestedOutput as HttpOutput
from tritonclient.utils import InferenceServerException

from sidecar.classify.feed import Tensor
from sidecar.classify.served import ModelFacts, Served, Server, TensorFacts
from sidecar.errors import EndpointError

_DATATYPES: Final = {"uint8": "UINT8", "float32": "FP32"}
# The client does not unpack what is packed, nor say that JSON is JSON.
_PLAIN: Final = {"accept-encoding": "identity", "content-type": "application/json"}
_BINARY: Final = "binary_tensor_data"
# What a hostile or broken answer makes the client's parsers raise, beside its own.
_ODD: Final = (
    *(aiohttp.ClientError, OSError, ValueError, TypeError, LookupError),
    AttributeError,
)


@dataclass(frozen=True, slots=True)
class Files:
    """Certificates, PEM.

    Attributes:
        ca: Whom to trust; None: the system's authorities.
        cert: Ours, with `key`; None: none.
        key: Its key.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are reached.

    Attributes:
        token: Sent as `Authorization: Bearer …`; None: none.
        context: For HTTPS; None: the system's authorities.
        credentials: For gRPC over TLS; None: the library's authorities.
    """

    token: str | None = None
    context: ssl.SSLContext | None = None
    credentials: grpc.ChannelCredentials | None = None

    @property
    def headers(self) -> dict[str, str]:
        """With the token, if there is one."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def access(token: str | None, files: Files) -> Access:
    """With what stands in `files`. Reads them: not for the event loop.

    Raises:
        OSError, ValueError: A file cannot be read or used.
    """
    context = ssl.create_default_context(cafile=files.ca)
    if files.cert is not None:
        context.load_cert_chain(files.cert, files.key)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(files.ca),
        private_key=_pem(files.key),
        certificate_chain=_pem(files.cert),
    )
    return Access(token, context, credentials)


def _pem(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def connect(url: str, access: Access) -> Server:
    """The server at `http(s)://host:port` or `grpc(s)://host:port`, not yet asked."""
    if urlsplit(url).scheme in {"grpc", "grpcs"}:
        return GrpcServer(url, access)
    return HttpServer(url, access)


class HttpServer:
    """Over HTTP, tensors in binary where the server says that it takes them so."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self._access = {"accept-encoding": "identity", **access.headers}
        self._headers = {**_PLAIN, **access.headers}
        parts = urlsplit(url)
        self._client = over_http.InferenceServerClient(
            parts.netloc + parts.path.rstrip("/"),
            ssl=parts.scheme == "https",
            ssl_context=access.context,
        )
        self._binary: bool | None = None

    async def ready(self, served: Served) -> bool:
        """See `Server.ready`."""
        with _told(self.url):
            return bool(
                await self._client.is_model_ready(
                    served.name, served.version, headers=self._headers
                )
            )

    async def facts(self, served: Served) -> ModelFacts:
        """See `Server.facts`."""
        with _told(self.url):
            found = await self._client.get_model_metadata(
                served.name, served.version, headers=self._headers
            )
            return _facts(found)

    async def infer(
        self, served: Served, name: str, tensor: Tensor, output: str
    ) -> NDArray[np.float32]:
        """See `Server.infer`."""
        with _told(self.url):
            binary = await self._takes_binary()
            given = HttpInput(name, list(tensor.shape), _datatype(tensor))
            given.set_data_from_numpy(tensor, binary_data=binary)
            result = await self._client.infer(
                served.name,
                [given],
                served.version,
                [HttpOutput(output, binary_data=binary)],
                headers=self._access if binary else self._headers,
            )
            return _scores(result.as_numpy(output))

    async def close(self) -> None:
        """See `Server.close`."""
        await self._client.close()

    async def _takes_binary(self) -> bool:
        if self._binary is None:
            found = await self._client.get_server_metadata(headers=self._headers)
            self._binary = _BINARY in found.get("extensions", ())
        return self._binary


class GrpcServer:
    """Over gRPC, tensors in binary."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self._headers = access.headers
        parts = urlsplit(url)
        self._client = over_grpc.InferenceServerClient(
            parts.netloc,
            ssl=parts.scheme == "grpcs",
            creds=access.credentials if parts.scheme == "grpcs" else None,
        )

    async def ready(self, served: Served) -> bool:
        """See `Server.ready`."""
        with _told(self.url):
            return bool(
                await self._client.is_model_ready(
                    served.name, served.version, headers=self._headers
                )
            )

    async def facts(self, served: Served) -> ModelFacts:
        """See `Server.facts`."""
        with _told(self.url):
            found = await self._client.get_model_metadata(
                served.name, served.version, headers=self._headers, as_json=True
            )
            return _facts(found)

    async def infer(
        self, served: Served, name: str, tensor: Tensor, output: str
    ) -> NDArray[np.float32]:
        """See `Server.infer`."""
        with _told(self.url):
            given = GrpcInput(name, list(tensor.shape), _datatype(tensor))
            given.set_data_from_numpy(tensor)
            result = await self._client.infer(
                served.name,
                [given],
                served.version,
                [GrpcOutput(output)],
                headers=self._headers,
            )
            return _scores(result.as_numpy(output))

    async def close(self) -> None:
        """See `Server.close`."""
        await self._client.close()


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Foreign errors become ours, naming the endpoint."""
    try:
        yield
    except InferenceServerException as exc:
        raise EndpointError(url, _brief(exc)) from None
    except _ODD as exc:
        raise EndpointError(url, f"{type(exc).__name__}: {exc!s:.120}") from None


def _brief(exc: InferenceServerException) -> str:
    """Status and first words; a refusal may echo the whole request, pictures too."""
    text = str(exc.message()).partition("response:")[0].partition("[")[0].strip()
    status = exc.status()
    return f"{status}: {text[:120]}" if status else text[:120]


def _datatype(tensor: Tensor) -> str:
    return _DATATYPES[tensor.dtype.name]


def _scores(found: Any) -> NDArray[np.float32]:  # noqa: ANN401 (untyped)
    if not isinstance(found, np.ndarray) or found.dtype != np.float32:
        raise ValueError("the output is missing, or no FP32 tensor")
    return found


def _facts(found: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(
        versions=tuple(str(one) for one in found.get("versions") or ()),
        inputs=_tensors(found.get("inputs") or ()),
        outputs=_tensors(found.get("outputs") or ()),
    )


def _tensors(found: Sequence[Mapping[str, Any]]) -> tuple[TensorFacts, ...]:
    return tuple(
        TensorFacts(
            str(one["name"]),
            str(one["datatype"]),
            tuple(int(side) for side in one["shape"]),  # gRPC's JSON has texts
        )
        for one in found
    )
