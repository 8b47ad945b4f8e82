"""Reviewers' outcomes are labels that replay and tune score recordings with."""

import asyncio
import json
from pathlib import Path

import httpx
import yaml
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.decide.policy import initial, observe
from sidecar.domain import Category, LabelScore, ModelRef, Scores, SourceKind, Stream
from tests.unit.app.app_house import app_house

TOKEN = "operator-token-0123456789"  # noqa: S105 of the tests
RULE = {
    "name": "cut",
    "category": "sexual.explicit",
    "action": "takedown",
    "enter": 0.9,
    "exit": 0.5,
    "hits": 1,
    "of": 1,
    "within_s": 5,
    "allow_single_frame": True,
}
POLICIES = [{"name": "default", "rules": [RULE]}]


async def _reviewed(folder: Path, outcomes: dict[str, str]) -> None:
    """A run in which each stream was taken down on a sample and then reviewed."""
    control = {"port": 0, "token": {"file": "token"}}
    record = {"folder": "recordings"}
    async with app_house(
        folder, control=control, record=record, policies=POLICIES
    ) as app:
        now = app.factory.clock.monotonic
        transport = httpx.ASGITransport(app.front.server._config.app)  # type: ignore[arg-type]
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as http:
            for name, outcome in outcomes.items():
                stream, began_at = Stream(name, SourceKind.WHIP), now()
                policy = app.streams.policy_of(stream)
                by = {Category.SEXUAL_EXPLICIT: LabelScore(0.97, "x")}
                scores = Scores(name, by, ModelRef("m", "sha256:0"), now())
                state = initial(policy, began_at)
                step = observe(policy, name, state, scores, now())
                for onlooker in app.pipeline._onlookers:
                    onlooker.began(stream, policy, began_at)
                    onlooker.scored(stream, policy, scores, step, scores.captured_at)
                action_id = await app.publisher.publish_action(step.actions[0], stream)
                reply = await http.put(
                    f"/api/actions/{action_id}/outcome", json={"outcome": outcome}
                )
                assert reply.status_code == 200


def test_what_reviewers_said_scores_the_recording(tmp_path: Path) -> None:
    """One takedown of the two was right, though a single sample led to each."""
    (tmp_path / "token").write_text(TOKEN)
    outcomes = {"room-right": "confirm", "room-wrong": "clear"}
    asyncio.run(_reviewed(tmp_path, outcomes))
    (tmp_path / "policies.yaml").write_text(yaml.safe_dump(POLICIES))
    recording, labels = tmp_path / "recordings", tmp_path / "labels-sidecar.csv"
    by = ["--labels", str(labels)]
    policy = ["--policy", str(tmp_path / "policies.yaml")]
    found = CliRunner().invoke(cli, ["replay", str(recording), *by, *policy, "--json"])
    assert found.exit_code == 0, found.output
    figures = json.loads(found.stdout)["figures"]
    assert figures["recall"]["value"] == 1.0
    (false,) = figures["false"]
    assert false["stream"] == "room-wrong"
    assert figures["missed"] == []
    tuned = CliRunner().invoke(cli, ["tune", str(recording), *by])
    assert "29" in str(tuned.exception)  # read, and by far too few to tune by
