"""What must hold of liveness and readiness, pure and over HTTP."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import EngineFacts
from sidecar.stats import Stats
from sidecar.web.auth import Access
from sidecar.web.control import control_app
from sidecar.web.health import Fault, Health
from tests.fakes.control import FakeControl

TOKEN = "0123456789abcdef0123"  # noqa: S105 of the tests


async def _get(health: Health, path: str, token: str | None = None) -> httpx.Response:
    app = control_app(FakeControl(), health, Stats(), Access.by(TOKEN))
    transport = httpx.ASGITransport(app)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://sidecar", headers=headers
    ) as client:
        return await client.get(path)


def test_ready_only_after_every_expected_component_reported() -> None:
    """What has not reported yet is `starting`, not fine."""
    health = Health(["engine", "broker"])
    health.report("engine", ok=True)
    assert health.faults == (Fault("broker", "starting"),)
    assert not health.ready
    health.report("broker", ok=True)
    assert health.ready


def test_the_newest_word_counts() -> None:
    """A component's report replaces its earlier one."""
    health = Health()
    health.report("broker", ok=False, reason="disconnected")
    health.report("broker", ok=False, reason="refused", detail="not authorised")
    assert health.faults == (Fault("broker", "refused", "not authorised"),)
    health.report("broker", ok=True)
    health.report("broker", ok=True)
    assert not health.faults


def test_a_dead_thread_is_neither_alive_nor_ready() -> None:
    """Death overrides what the component last said of itself."""
    lives = [True]
    health = Health()
    health.watch("engine", lambda: lives[0])
    health.report("engine", ok=True)
    assert (health.dead, health.ready) == ((), True)
    lives[0] = False
    assert health.dead == ("engine",)
    assert health.faults == (Fault("engine", "dead"),)


@pytest.mark.parametrize("word", ["", "Broker", "a b", "9", "a" * 65, "a\n"])
def test_names_and_reasons_are_codes(word: str) -> None:
    """No free text, hence no secret and no stream id, can become public."""
    health = Health()
    with pytest.raises(ValueError, match="is not a code"):
        health.report("broker", ok=False, reason=word)
    with pytest.raises(ValueError, match="is not a code"):
        health.report(word, ok=True)
    with pytest.raises(ValueError, match="is not a code"):
        health.watch(word, lambda: True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_ready_is_having_no_fault(reports: list[tuple[str, bool]]) -> None:
    """Whatever is reported: ready exactly if the last word of each was ok."""
    health = Health()
    last: dict[str, bool] = {}
    for name, ok in reports:
        health.report(name, ok=ok, reason="off")
        last[name] = ok
    assert health.ready == all(last.values())
    assert [fault.component for fault in health.faults] == sorted(
        name for name, ok in last.items() if not ok
    )


@pytest.mark.anyio
async def test_livez_says_who_died() -> None:
    """200 while all live, 503 with the name otherwise; no token needed."""
    health = Health()
    assert (await _get(health, "/livez")).json() == {"alive": True, "dead": []}
    health.watch("engine", lambda: False)
    reply = await _get(health, "/livez")
    assert reply.status_code == 503
    assert reply.json() == {"alive": False, "dead": ["engine"]}


@pytest.mark.anyio
async def test_readyz_gives_reasons_to_all_and_details_to_the_authorised() -> None:
    """Without the token: codes only. With it: the sentence, too."""
    health = Health()
    good = {"ready": True, "reasons": [], "engines": []}
    assert (await _get(health, "/readyz")).json() == good
    health.report("broker", ok=False, reason="disconnected", detail="mq.example: no")
    stranger = await _get(health, "/readyz")
    wrong = await _get(health, "/readyz", "0123456789abcdef0124")
    owner = await _get(health, "/readyz", TOKEN)
    assert {stranger.status_code, wrong.status_code, owner.status_code} == {503}
    assert stranger.json() == wrong.json()
    assert "mq.example" not in stranger.text
    assert stranger.json()["reasons"][0]["reason"] == "disconnected"
    assert owner.json()["reasons"][0]["detail"] == "mq.example: no"


@pytest.mark.anyio
async def test_readyz_tells_the_authorised_what_the_models_run_on() -> None:
    """What was asked for, what it is, and why not more; nothing of it to strangers."""
    health = Health()
    health.engines = (
        EngineFacts("m", "cuda", "cpu", "fp32", 1, 2, why_not="cuda: no driver"),
    )
    assert (await _get(health, "/readyz")).json()["engines"] == []
    (found,) = (await _get(health, "/readyz", TOKEN)).json()["engines"]
    assert found == {
        "model": "m",
        "asked": "cuda",
        "provider": "cpu",
        "precision": "fp32",
        "threads": 1,
        "callers": 2,
        "why_not": "cuda: no driver",
    }
