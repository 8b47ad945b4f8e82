"""Policies are tried, applied and undone; nobody overwrites what they have not seen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sidecar.app.build import App
from sidecar.audit.chain import Deed
from sidecar.config import load
from sidecar.domain import Category, LabelScore, ModelRef, Scores, SourceKind, Stream
from sidecar.errors import AuditFailed
from sidecar.recording.entry import Entry, EntryKind
from tests.unit.app.app_house import app_house

pytestmark = pytest.mark.anyio
RULE = {
    "name": "cut",
    "category": "sexual.explicit",
    "action": "takedown",
    "enter": 0.9,
    "exit": 0.5,
    "hits": 2,
    "of": 3,
    "within_s": 5,
}
TOKEN = "operator-token-0123456789"  # noqa: S105 of the tests
LOWER = [{"policy": "default", "rule": "cut", "key": "enter", "value": 0.6}]


class Desk:
    """A running sidecar's API, asked by an operator."""

    def __init__(self, app: App, http: httpx.AsyncClient, folder: Path) -> None:
        self.app = app
        self.http = http
        self.file = folder / "policies.yaml"

    async def get(self, path: str) -> Any:  # noqa: ANN401 JSON
        """The answer's body."""
        return (await self.http.get(f"/api{path}")).json()

    async def post(self, path: str, seen: str | None = None, **body: object) -> Any:  # noqa: ANN401
        """The answer."""
        headers = {} if seen is None else {"if-match": seen}
        return await self.http.post(f"/api{path}", json=body, headers=headers)

    async def apply(self, changes: object = LOWER, **over: Any) -> Any:  # noqa: ANN401
        """What the page does: preview, confirm, apply."""
        preview = (await self.post("/policies/preview", changes=changes)).json()
        given = {
            "seen": preview["etag"],
            "changes": changes,
            "reason": "too few found",
            "confirmed": preview["words"],
            **over,
        }
        return await self.post("/policies/apply", **given)

    @property
    def enter(self) -> float:
        """The threshold in force in the running pipeline."""
        (policy,) = self.app.streams.policies.policies
        return policy.rules[0].enter

    @property
    def acts(self) -> list[str]:
        """What the audit log says, newest first."""
        return [entry.deed.act for entry in self.app.front.overseer.deeds.recent()]

    def saw(self, score: float, ago_s: float) -> None:
        """A sample of the past."""
        at = self.app.factory.clock.monotonic() - ago_s
        by = {Category.SEXUAL_EXPLICIT: LabelScore(score, "x")}
        scores = Scores("room-1", by, ModelRef("m", "sha256:0"), at)
        stream = Stream("room-1", SourceKind.WHIP)
        entry = Entry(EntryKind.SAMPLE, stream, at, scores=scores)
        self.app.front.desk.past.log.add(entry)


@asynccontextmanager
async def desk_of(folder: Path, **changes: object) -> AsyncIterator[Desk]:
    """A sidecar whose policies stand in a file of their own."""
    policies = [{"name": "default", "rules": [RULE]}]
    (folder / "policies.yaml").write_text(yaml.safe_dump(policies))
    (folder / "token").write_text(TOKEN)
    control = {"port": 0, "token": {"file": "token"}}
    config = {"policies": "policies.yaml", "control": control, **changes}
    async with app_house(folder, **config) as app:
        transport = httpx.ASGITransport(app.front.server._config.app)  # type: ignore[arg-type]
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as http:
            yield Desk(app, http, folder)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One with an operator's token."""
    async with desk_of(tmp_path) as found:
        yield found


async def test_an_applied_change_is_in_force_and_stays(
    desk: Desk, tmp_path: Path
) -> None:
    """In the pipeline at once, in the file for the next start, in both histories."""
    reply = await desk.apply()
    assert reply.status_code == 200
    assert (reply.json()["number"], reply.json()["author"]) == (2, "operator")
    assert desk.enter == 0.6
    config = await asyncio.to_thread(load, tmp_path / "sidecar.yaml", {})
    assert config.policies[0].rules[0].enter == 0.6
    history = (await desk.get("/policies/history"))["versions"]
    assert [version["number"] for version in history] == [2, 1]
    assert "enter 0.9 → 0.6" in history[0]["words"][0]
    assert desk.acts[0] == "policy.apply"


async def test_an_undo_walks_back(desk: Desk) -> None:
    """Each one version further; the first cannot be undone; each is a version."""
    await desk.apply()
    await desk.apply([{**LOWER[0], "value": 0.7}])
    for restored, enter in ((2, 0.6), (1, 0.9)):
        preview = await desk.get("/policies/undo")
        assert preview["restores"] == restored
        reply = await desk.post(
            "/policies/undo",
            seen=preview["etag"],
            reason="a mistake",
            confirmed=preview["words"],
        )
        assert reply.json()["undoes"] == restored + 1
        assert desk.enter == enter
    assert (await desk.http.get("/api/policies/undo")).status_code == 409
    assert len((await desk.get("/policies/history"))["versions"]) == 5
    assert desk.acts[:2] == ["policy.undo", "policy.undo"]


async def test_the_second_of_two_operators_is_told(desk: Desk) -> None:
    """412 with who, when, why and what; nothing is changed."""
    preview = (await desk.post("/policies/preview", changes=LOWER)).json()
    await desk.apply([{**LOWER[0], "value": 0.7}])
    reply = await desk.apply(seen=preview["etag"])
    assert (reply.status_code, reply.json()["code"]) == (412, "other_version")
    assert "operator made version 2" in reply.json()["detail"]
    assert "enter 0.9 → 0.7" in reply.json()["detail"]
    assert desk.enter == 0.7


async def test_an_edit_by_hand_is_not_overwritten(desk: Desk) -> None:
    """The file is the truth, whoever wrote it."""
    seen = (await desk.get("/policies/current"))["version"]["etag"]
    text = await asyncio.to_thread(desk.file.read_text)
    await asyncio.to_thread(desk.file.write_text, text.replace("0.9", "0.8"))
    reply = await desk.apply(seen=seen)
    assert reply.status_code == 412
    assert "edited by hand" in reply.json()["detail"]


async def test_what_was_confirmed_is_what_changes(desk: Desk) -> None:
    """Other sentences, none at all, no reason, no version: refused."""
    reply = await desk.apply(confirmed=["Nothing much."])
    assert (reply.status_code, reply.json()["code"]) == (409, "not_confirmed")
    assert (await desk.apply(reason="")).status_code == 422
    assert (await desk.apply(seen=None)).status_code == 428
    nothing = [{**LOWER[0], "value": 0.9}]
    assert (await desk.apply(nothing)).json()["detail"] == "nothing would change"
    assert desk.enter == 0.9
    assert "policy.apply" not in desk.acts


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("exit", 0.95, "exit <= enter"),
        ("hits", 4, "hits <= of"),
        ("within_s", 0.05, "could not act"),
        ("enter", 2, "1"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(
    desk: Desk, key: str, value: float, why: str
) -> None:
    """With the whole configuration in view, and why."""
    changes = [{**LOWER[0], "key": key, "value": value}]
    reply = await desk.post("/policies/whatif", changes=changes)
    assert reply.status_code == 422
    assert why in reply.json()["detail"]


async def test_without_an_audit_entry_nothing_is_applied(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: 503, and the policies are as they were."""

    async def full(_deed: Deed) -> None:
        raise AuditFailed("no space left on device")

    monkeypatch.setattr(desk.app.front.desk.deeds, "note", full)
    assert (await desk.apply()).status_code == 503
    assert desk.enter == 0.9


async def test_what_if_tells_of_takedowns_added_and_removed(desk: Desk) -> None:
    """On the remembered samples; nothing is done."""
    for ago_s in (9.0, 8.0, 7.0):
        desk.saw(0.7, ago_s)
    found = (await desk.post("/policies/whatif", changes=LOWER)).json()
    assert (found["samples"], found["streams"]) == (3, 1)
    (added,) = found["added"]
    assert (added["stream"], added["rule"]) == ("room-1", "cut")
    assert found["removed"] == []
    assert desk.enter == 0.9
    same = (await desk.post("/policies/whatif", changes=[])).json()
    assert (same["added_total"], same["removed_total"]) == (0, 0)


async def test_a_trial_in_the_shadow_begins_and_ends(desk: Desk) -> None:
    """It is shown with the policies in force, which stay as they are."""
    reply = await desk.http.put("/api/shadow", json={"changes": LOWER})
    (shadow,) = reply.json()["shadow"]
    assert shadow["rules"][0]["enter"] == 0.6
    assert desk.enter == 0.9
    assert (await desk.get("/policies/current"))["shadow"] is not None
    assert (await desk.http.delete("/api/shadow")).status_code == 204
    assert (await desk.get("/policies/current"))["shadow"] is None
    assert desk.acts[:2] == ["http.delete", "http.put"]


async def test_a_trial_outlives_a_restart_until_it_is_ended(tmp_path: Path) -> None:
    """It goes before the configuration's; ended, that one is back at the next start."""
    shadow = [{"name": "stricter", "rules": [{**RULE, "enter": 0.5}]}]
    async with desk_of(tmp_path, shadow=shadow) as desk:
        await desk.http.put("/api/shadow", json={"changes": LOWER})
    async with desk_of(tmp_path, shadow=shadow) as desk:
        (found,) = (await desk.get("/policies/current"))["shadow"]
        assert (found["name"], found["rules"][0]["enter"]) == ("default", 0.6)
        await desk.http.delete("/api/shadow")
        assert (await desk.get("/policies/current"))["shadow"] is None
    async with desk_of(tmp_path, shadow=shadow) as desk:
        (found,) = (await desk.get("/policies/current"))["shadow"]
        assert found["name"] == "stricter"


async def test_a_trial_that_cannot_be_kept_does_not_begin(desk: Desk) -> None:
    """A disk that takes nothing is told; a file that is no trial is passed over."""
    kept = desk.app.front.desk.keepsakes._shadow
    kept.write_text('[{"name": "no rules"}]')
    assert await asyncio.to_thread(desk.app.front.desk.keepsakes.shadow) == ()
    kept.unlink()
    kept.mkdir()
    reply = await desk.http.put("/api/shadow", json={"changes": LOWER})
    assert reply.status_code == 503
    assert desk.app.front.overseer.house.shadow.policies is None


async def test_a_shadow_of_the_configuration_sits_there_from_the_start(
    tmp_path: Path,
) -> None:
    """Under `shadow:`, as policies are written."""
    shadow = [{"name": "stricter", "rules": [{**RULE, "enter": 0.5}]}]
    async with desk_of(tmp_path, shadow=shadow) as desk:
        (found,) = (await desk.get("/policies/current"))["shadow"]
        assert found["name"] == "stricter"


async def test_policies_without_a_file_cannot_be_changed(tmp_path: Path) -> None:
    """It is said how they could be; looking and trying work."""
    inline = [{"name": "default", "rules": [RULE]}]
    async with desk_of(tmp_path, policies=inline) as desk:
        current = await desk.get("/policies/current")
        assert current["writable"] is False
        assert "policies: policies.yaml" in current["why_not"]
        assert (await desk.get("/policies/history"))["versions"] == []
        assert (await desk.post("/policies/whatif", changes=LOWER)).status_code == 200
        reply = await desk.apply(seen='"1-0"')
        assert reply.json()["code"] == "policy_conflict"
        assert (await desk.http.get("/api/policies/undo")).status_code == 409


async def test_a_folder_that_cannot_be_written_can_be_looked_at(desk: Desk) -> None:
    """Mounted read-only, for instance: the page shows all, and says why not."""
    folder = desk.file.with_name("policies.yaml.versions")
    await asyncio.to_thread(folder.write_text, "in the way")
    current = await desk.get("/policies/current")
    assert (current["writable"], current["version"]) == (False, None)
    assert "readable and writable" in current["why_not"]
    assert (await desk.post("/policies/whatif", changes=LOWER)).status_code == 200
    reply = await desk.apply(seen='"1-0"')
    assert "readable and writable" in reply.json()["detail"]


async def test_a_broken_file_is_told_before_anything_is_done(desk: Desk) -> None:
    """Somebody is in the middle of an edit."""
    await asyncio.to_thread(desk.file.write_text, "- name: [")
    reply = await desk.http.get("/api/policies/current")
    assert reply.status_code == 409
    assert "mend it first" in reply.json()["detail"]


async def test_without_a_token_nobody_changes_policies(tmp_path: Path) -> None:
    """Also on loopback: there would be no name to put to it."""
    async with desk_of(tmp_path, control={"port": 0}) as desk:
        reply = await desk.apply()
        assert (reply.status_code, reply.json()["code"]) == (403, "token_needed")


async def test_a_version_that_is_lost_cannot_be_restored(desk: Desk) -> None:
    """It is said which one is missing."""
    await desk.apply()
    lost = desk.file.with_name("policies.yaml.versions") / "000001.yaml"
    await asyncio.to_thread(lost.unlink)
    reply = await desk.http.get("/api/policies/undo")
    assert reply.status_code == 409
    assert "version 1" in reply.json()["detail"]
