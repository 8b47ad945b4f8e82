"""What must hold of the control API, asked through ASGI without a socket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.clock import ManualClock
from sidecar.domain import (
    Category,
    LabelScore,
    ModelRef,
    Scores,
    UnknownReason,
    Verdict,
    VerdictState,
)
from sidecar.stats import Stats
from sidecar.web.auth import Access
from sidecar.web.control import control_app
from sidecar.web.health import Health
from sidecar.web.schemas import SourceView, scores_view, verdict_view
from tests.fakes.control import CONFIGURED, LIMIT, FakeControl

WHEP = {"whep": {"url": "https://media.example/a/whep"}}
DOCUMENTED = {
    "GET": {200, 404, 405, 422},
    "PUT": {200, 201, 400, 404, 405, 409, 413, 422, 503},
    "DELETE": {204, 404, 405, 409, 422},
    "POST": {202, 404, 405, 409, 422, 503},
}


def _client(control: FakeControl) -> httpx.AsyncClient:
    app = control_app(control, Health(), Stats(), Access.by(None))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
    )


@pytest.fixture
def control() -> FakeControl:
    """One configured stream."""
    return FakeControl()


@pytest.fixture
async def client(control: FakeControl) -> AsyncIterator[httpx.AsyncClient]:
    """A caller on the same machine."""
    async with _client(control) as found:
        yield found


@pytest.mark.anyio
async def test_streams_are_listed_with_verdict_and_source(
    client: httpx.AsyncClient,
) -> None:
    """The list tells of each stream where it stands and what is known."""
    (stream,) = (await client.get("/api/streams")).json()["streams"]
    assert stream["id"] == CONFIGURED
    assert stream["origin"] == "config"
    assert stream["verdict"]["state"] == "unknown"
    assert stream["verdict"]["reason"] == "starting"


@pytest.mark.anyio
async def test_put_creates_then_updates(client: httpx.AsyncClient) -> None:
    """201 with Location the first time, 200 after, and GET shows it."""
    body = {
        **WHEP,
        "publisher": "u-812",
        "labels": {"tier": "new"},
        "sampling": {"interval_s": 2, "decode": "keyframes"},
    }
    first = await client.put("/api/streams/room-1", json=body)
    again = await client.put("/api/streams/room-1", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"] == "/api/streams/room-1"
    found = (await client.get("/api/streams/room-1")).json()
    assert found == first.json()
    assert found["publisher"] == "u-812"
    assert found["labels"] == {"tier": "new"}


@pytest.mark.anyio
async def test_delete_then_gone(client: httpx.AsyncClient) -> None:
    """204 without a body once, 404 after."""
    await client.put("/api/streams/room-1", json=WHEP)
    first = await client.delete("/api/streams/room-1")
    again = await client.delete("/api/streams/room-1")
    assert (first.status_code, first.content, again.status_code) == (204, b"", 404)


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_configured_stream_is_not_the_apis(
    client: httpx.AsyncClient, method: str
) -> None:
    """409 with a code and the mend."""
    body = WHEP if method == "PUT" else None
    reply = await client.request(method, f"/api/streams/{CONFIGURED}", json=body)
    assert reply.status_code == 409
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "conflict"
    assert "edit the file" in reply.json()["detail"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({**WHEP, "file": {"path": "a.mp4"}}, "body"),
        ({**WHEP, "colour": "red"}, "body.colour"),
        ({"whep": {"url": "ftp://media.example/a"}}, "body.whep.url"),
        ({"whep": {"url": "https://u:p@media.example/a"}}, "body.whep.url"),
        ({"whep": {"url": "https://media.example:99999/a"}}, "body.whep.url"),
        ({"whep": {"url": "https://[::1/a"}}, "body.whep.url"),
        ({"whep": {"url": "https://media.example/a\nb"}}, "body.whep.url"),
        ({"whep": {"url": "https://m/a", "token": "x"}}, "body.whep.token"),
        ({"whep": {"url": "https://m/a", "token_file": "../x"}}, "token_file"),
        ({"whep": {"url": "https://m/a", "token_file": "/etc/x"}}, "token_file"),
        ({"file": {"path": "../../etc/passwd"}}, "body.file.path"),
        ({"file": {"path": "/etc/passwd"}}, "body.file.path"),
        ({**WHEP, "publisher": "two words"}, "body.publisher"),
        ({**WHEP, "publisher": 7}, "body.publisher"),
        ({**WHEP, "labels": {"a": 1}}, "body.labels.a"),
        ({**WHEP, "labels": {str(n): "x" for n in range(33)}}, "body.labels"),
        ({**WHEP, "sampling": {"interval_s": 0}}, "body.sampling.interval_s"),
        ({**WHEP, "sampling": {"interval_s": "1"}}, "body.sampling.interval_s"),
        ({**WHEP, "sampling": {"decode": "some"}}, "body.sampling.decode"),
    ],
)
async def test_what_is_not_acceptable_is_named(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    """422 says which key, and nothing has changed."""
    reply = await client.put("/api/streams/room-1", json=body)
    assert reply.status_code == 422
    assert any(fault["field"].endswith(field) for fault in reply.json()["faults"])
    assert (await client.get("/api/streams/room-1")).status_code == 404


@pytest.mark.anyio
async def test_a_refused_value_is_not_echoed(client: httpx.AsyncClient) -> None:
    """A token sent by mistake does not come back, in case answers are logged."""
    body = {"whep": {"url": "https://u:hunter2@m/a", "token": "hunter2"}}
    reply = await client.put("/api/streams/room-1", json=body)
    assert reply.status_code == 422
    assert "hunter2" not in reply.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b"\xff\xfe{", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"whep": NaN}', "application/json", 422),
        (b'{"\\ud800": 1}', "application/json", 422),
        (b'{"publisher": "\\ud800"}', "application/json", 422),
        (json.dumps(WHEP).encode(), "text/plain", 422),
        (b"", "application/json", 422),
        (b"x" * 70_000, "application/json", 413),
    ],
)
async def test_bad_bodies_meet_a_clear_refusal(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    """Torn, hostile or oversized bodies are 4xx problem documents."""
    reply = await client.put(
        "/api/streams/room-1", content=body, headers={"content-type": kind}
    )
    assert reply.status_code == status
    assert reply.json()["status"] == status


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["a b", "a%2Bb", "%23", "a%00", "x" * 129, "é"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_hostile_ids_reach_nothing(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    """An id that is none is refused before the rest of the sidecar sees it."""
    body = WHEP if method == "PUT" else None
    reply = await client.request(method, f"/api/streams/{path}", json=body)
    assert reply.status_code == 422


@pytest.mark.anyio
async def test_verdicts_one_and_all(client: httpx.AsyncClient) -> None:
    """The verdict alone, and all verdicts with their counts."""
    one = (await client.get(f"/api/streams/{CONFIGURED}/verdict")).json()
    every = (await client.get("/api/verdicts")).json()
    assert one["verdict"]["state"] == "unknown"
    assert every["counts"] == {"unknown": 1}
    assert every["verdicts"] == [one]


@pytest.mark.anyio
async def test_report_bursts_the_stream(
    client: httpx.AsyncClient, control: FakeControl
) -> None:
    """202, and the report has arrived; 404 for a stream nobody watches."""
    reply = await client.post(f"/api/streams/{CONFIGURED}/report")
    other = await client.post("/api/streams/other/report")
    assert (reply.status_code, other.status_code) == (202, 404)
    assert control.reported == [CONFIGURED]


@pytest.mark.anyio
async def test_reverse_gives_the_actions_id_once(client: httpx.AsyncClient) -> None:
    """202 with the id; 409 when there is nothing (more) to reverse."""
    first = await client.post(f"/api/streams/{CONFIGURED}/reverse")
    again = await client.post(f"/api/streams/{CONFIGURED}/reverse")
    assert first.status_code == 202
    assert first.json()["id"].startswith("0198c1f2-")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_reverse")


@pytest.mark.anyio
async def test_a_full_outbox_is_503_with_retry_after(
    client: httpx.AsyncClient, control: FakeControl
) -> None:
    """An action that could not be written is never answered as accepted."""
    control.outbox_full = True
    reply = await client.post(f"/api/streams/{CONFIGURED}/reverse")
    assert (reply.status_code, reply.json()["code"]) == (503, "not_published")
    assert reply.headers["retry-after"] == "5"


@pytest.mark.anyio
async def test_limits_and_refusals_of_the_sidecar_have_codes(
    client: httpx.AsyncClient,
) -> None:
    """503 at the limit of streams, 422 where a secret file is missing."""
    body = {"whep": {"url": "https://m/a", "token_file": "missing"}}
    refused = await client.put("/api/streams/x", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "refused")
    for number in range(LIMIT - 1):
        await client.put(f"/api/streams/s{number}", json=WHEP)
    full = await client.put("/api/streams/one-more", json=WHEP)
    assert (full.status_code, full.json()["code"]) == (503, "too_many_streams")


@pytest.mark.anyio
async def test_outbox_and_policies_can_be_seen(client: httpx.AsyncClient) -> None:
    """What waits, and by which policies was decided."""
    outbox = (await client.get("/api/outbox")).json()
    policies = (await client.get("/api/policies")).json()["policies"]
    assert (outbox["depth"], outbox["connected"]) == (1, False)
    assert policies[0]["rules"][0]["name"] == "explicit"


@pytest.mark.anyio
async def test_unknown_paths_and_methods_are_problems_too(
    client: httpx.AsyncClient,
) -> None:
    """404 and 405 look like every other error; 405 names what is allowed."""
    missing = await client.get("/nothing")
    wrong = await client.post("/api/streams")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
async def test_no_page_that_loads_foreign_scripts(
    client: httpx.AsyncClient, path: str
) -> None:
    """The interactive pages would fetch from a CDN: they are off."""
    assert (await client.get(path)).status_code == 404


@pytest.mark.anyio
async def test_openapi_documents_every_answer(client: httpx.AsyncClient) -> None:
    """The document names each route, its errors, and no schema that is not there."""
    document = (await client.get("/openapi.json")).json()
    put = document["paths"]["/api/streams/{stream_id}"]["put"]
    assert set(put["responses"]) >= {"200", "201", "400", "401", "404", "409", "422"}
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
near_bodies = st.fixed_dictionaries(
    {},
    optional={
        "whep": st.fixed_dictionaries(
            {"url": st.sampled_from(["https://m/a", "http://[::1]:0/"]) | st.text()},
            optional={"token_file": json_values, "trickle": json_values},
        )
        | json_values,
        "file": st.fixed_dictionaries({"path": st.text() | json_values}),
        "publisher": json_values,
        "labels": st.dictionaries(st.text(max_size=5), json_values, max_size=3),
        "sampling": st.dictionaries(
            st.sampled_from(["interval_s", "jitter", "decode", "burst_s"]), json_values
        ),
        "other": json_values,
    },
)
raw_bodies = (near_bodies | json_values).map(lambda v: json.dumps(v).encode())
paths = st.text(max_size=12) | st.sampled_from([CONFIGURED, "a", ".", "..", "a/b"])
tails = st.sampled_from(["", "/verdict", "/report", "/reverse", "/", "//", "?x=%00"])


async def _ask(method: str, path: str, body: bytes | None) -> httpx.Response:
    async with _client(FakeControl()) as client:
        headers = {"content-type": "application/json"}
        return await client.request(method, path, content=body, headers=headers)


@settings(deadline=None, max_examples=150)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    name=paths,
    tail=tails,
    body=raw_bodies | st.binary(max_size=200),
)
def test_only_documented_statuses_whatever_is_sent(
    method: str, name: str, tail: str, body: bytes
) -> None:
    """Any path and any body: a documented status, never a 500."""
    encoded = "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "surrogatepass"))
    path = f"/api/streams/{encoded}{tail}"
    reply = anyio.run(_ask, method, path, body if method == "PUT" else None)
    assert reply.status_code in DOCUMENTED[method]
    if reply.status_code >= 400:
        assert reply.json()["status"] == reply.status_code


def test_verdict_view_has_wall_time_and_ages() -> None:
    """Monotonic instants leave the process as UTC time and as ages."""
    clock = ManualClock(100.0)
    clock.advance(30.0)
    verdict = Verdict(
        VerdictState.VIOLATING, 110.0, 129.5, None, (Category.SEXUAL_EXPLICIT,)
    )
    view = verdict_view(verdict, clock)
    assert view.since.isoformat() == "2026-01-01T00:00:10+00:00"
    assert (view.age_s, view.seen_age_s) == (20.0, 0.5)
    assert view.categories == ["sexual.explicit"]


def test_verdict_view_of_the_unseen() -> None:
    """Never seen is null, not zero: it must not read as fresh."""
    verdict = Verdict(VerdictState.UNKNOWN, 0.0, None, UnknownReason.STARTING)
    view = verdict_view(verdict, ManualClock())
    assert (view.seen_age_s, view.reason) == (None, "starting")


def test_scores_view_ranks_and_may_be_empty() -> None:
    """The highest category comes first; no scores are an empty mapping."""
    scores = Scores(
        "a",
        {
            Category.SAFE: LabelScore(0.1, "Neutral"),
            Category.SEXUAL_EXPLICIT: LabelScore(0.9, "Porn+Hentai"),
        },
        ModelRef("m", "sha256:0"),
        0.0,
    )
    view = scores_view(scores)
    assert list(view) == ["sexual.explicit", "safe"]
    assert (view["safe"].model, view["safe"].model_hash) == ("m", "sha256:0")
    assert scores_view(None) == {}


def test_a_source_shows_no_query() -> None:
    """A token that somebody put into a URL's query is not shown."""
    view = SourceView(kind="whep", location="https://m/a?token=hunter2")
    assert "hunter2" not in view.model_dump_json()
    assert SourceView(kind="whip").location is None
