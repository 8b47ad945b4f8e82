"""Servers elsewhere are foreign: what they say is checked, what they echo dropped."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.classify.oip import Access, Files, access, connect
from sidecar.classify.served import Served, Server
from sidecar.errors import EndpointError
from tests.contract.brokers import certificates
from tests.e2e.processes import free_port
from tests.fakes.oip import FACTS, NAME, NetworkServer, begin_polling

pytestmark = pytest.mark.anyio

SERVED = Served(NAME)
TOKEN = "t0ken"  # noqa: S105 the tests' own
TENSOR = np.zeros((1, 3, 8, 8), np.float32)


@pytest.fixture(scope="module", autouse=True)
def grpc_thread() -> None:
    """There from the start."""
    begin_polling()


@asynccontextmanager
async def reached(
    server: NetworkServer, scheme: str, given: Access | None = None
) -> AsyncIterator[Server]:
    """A client of a server on loopback."""
    over = server.over_grpc() if scheme == "grpc" else server.over_http()
    async with over as url:
        client = connect(url, given or Access())
        try:
            yield client
        finally:
            await client.close()


both = pytest.mark.parametrize("scheme", ["http", "grpc"])


@both
async def test_a_model_is_described_alike(scheme: str) -> None:
    """Versions, names, types and shapes, over either protocol."""
    async with reached(NetworkServer(), scheme) as client:
        assert await client.ready(SERVED)
        assert await client.facts(SERVED) == FACTS


@both
async def test_the_token_goes_along(scheme: str) -> None:
    """As a bearer token, with every batch."""
    server = NetworkServer()
    async with reached(server, scheme, Access(token=TOKEN)) as client:
        await client.infer(SERVED, "x", TENSOR, "y")
    assert server.seen[-1]["authorization"] == f"Bearer {TOKEN}"


@both
async def test_a_refusal_is_told_without_what_it_echoes(scheme: str) -> None:
    """A server may send the request back in its error: no picture gets into a log."""
    refusal = "422" if scheme == "http" else "bad input [7,7,7,7,7]"
    async with reached(NetworkServer(refusal=refusal), scheme) as client:
        with pytest.raises(EndpointError) as caught:
            await client.infer(SERVED, "x", TENSOR, "y")
    told = str(caught.value)
    assert "7,7" not in told
    assert "[1,2" not in told
    assert len(told) < 200
    assert ("422" if scheme == "http" else "INVALID_ARGUMENT") in told
    assert caught.value.__suppress_context__


@both
async def test_nobody_there_is_an_endpoint_error(scheme: str) -> None:
    """Refused connections are translated at this edge; every question tells."""
    client = connect(f"{scheme}://127.0.0.1:{free_port()}", Access())
    for question in (
        client.ready(SERVED),
        client.facts(SERVED),
        client.infer(SERVED, "x", TENSOR, "y"),
    ):
        with pytest.raises(EndpointError, match=r"127\.0\.0\.1"):
            await question
    await client.close()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b"{}"),
        b'{"outputs": null}',
        b'{"outputs": [{"name": "y"}]}',
        b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3]}]}',
        b'{"outputs": [{"name": "y", "datatype": "FP32", "shape": [9], "data": [1]}]}',
        b'{"outputs": [{"name": "y", "datatype": "BYTES", "shape": [0], "data": []}]}',
        b'{"outputs": [{"name": "y", "datatype": "INT64", "shape": [1], "data": [1]}]}',
        b'{"outputs": [{"name": "z", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"versions": 7, "inputs": [[]]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": ["many"]}]}',
    ],
)
async def test_an_odd_answer_is_an_endpoint_error(body: bytes) -> None:
    """Whatever comes instead of scores: one kind of error, never another."""
    async with reached(NetworkServer(body=body), "http") as client:
        with pytest.raises(EndpointError):
            await client.infer(SERVED, "x", TENSOR, "y")
        try:
            facts = await client.facts(SERVED)
        except EndpointError:
            pass
        else:
            assert isinstance(facts.inputs, tuple)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["outputs", "name", "datatype", "shape", "data", "inputs", "versions"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(json_values)
async def test_any_answer_is_scores_or_an_endpoint_error(value: object) -> None:
    """JSON of any shape."""
    body = json.dumps(value).encode()
    async with reached(NetworkServer(body=body), "http") as client:
        for question in (
            client.facts(SERVED),
            client.infer(SERVED, "x", TENSOR, "y"),
        ):
            with suppress(EndpointError):
                await question


def test_certificates_that_are_none_are_told(tmp_path: Path) -> None:
    """Before anything is sent."""
    odd = tmp_path / "ca.pem"
    odd.write_text("no certificate")
    with pytest.raises((OSError, ValueError)):
        access(None, Files(ca=odd))


async def test_both_sides_are_known_by_their_certificates(tmp_path: Path) -> None:
    """Over TLS: with authority and certificate it is asked, without either not."""
    certs = await asyncio.to_thread(certificates, tmp_path)
    files = Files(certs.ca, certs.client, certs.client_key)
    whole = await asyncio.to_thread(access, None, files)
    anonymous = await asyncio.to_thread(access, None, Files(certs.ca))
    stranger = await asyncio.to_thread(access, None, Files())
    async with NetworkServer().over_grpc(certs) as url:
        assert await _is_ready(url, whole)
        for wrong in (anonymous, stranger):
            with pytest.raises(EndpointError):
                await _is_ready(url, wrong)


async def _is_ready(url: str, given: Access) -> bool:
    client = connect(url, given)
    try:
        async with asyncio.timeout(30):
            return await client.ready(SERVED)
    finally:
        await client.close()
