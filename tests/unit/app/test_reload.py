"""A changed configuration is taken whole or not at all, while running."""

import asyncio
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from sidecar.app.build import App
from sidecar.app.reload import Reloader, fingerprint
from sidecar.app.spec import Origin
from sidecar.config.schema import StreamConfig
from tests.unit.app.app_house import app_house, configuration

pytestmark = pytest.mark.anyio


def _reloader(app: App) -> Reloader:
    assert app.reloader is not None
    return app.reloader


def _file(folder: Path, name: str) -> dict[str, object]:
    (folder / name).touch()
    return {"id": name.removesuffix(".mp4"), "file": {"path": name}}


async def test_valid_policies_are_swapped_and_announced(tmp_path: Path) -> None:
    """Names of what changed are logged; the new hash is in force."""
    async with app_house(tmp_path) as app:
        before = app.streams.policies.policies[0].hash
        text = (tmp_path / "sidecar.yaml").read_text()
        (tmp_path / "sidecar.yaml").write_text(text.replace("0.9", "0.95"))
        with capture_logs() as logs:
            assert await _reloader(app).reload()
        assert app.streams.policies.policies[0].hash != before
        (line,) = [entry for entry in logs if entry["event"] == "policies_swapped"]
        assert line["changed"] == ["default"]


async def test_a_fault_leaves_everything_as_it_was_and_is_loud(tmp_path: Path) -> None:
    """The old policies stay; the fault is logged, counted and kept for the status."""
    async with app_house(tmp_path) as app:
        before = app.streams.policies
        text = (tmp_path / "sidecar.yaml").read_text()
        (tmp_path / "sidecar.yaml").write_text(text.replace("0.9", "high"))
        with capture_logs() as logs:
            assert not await _reloader(app).reload()
        assert app.streams.policies is before
        assert "'high' is not accepted" in str(_reloader(app).fault)
        assert [entry["log_level"] for entry in logs] == ["error"]
        value = app.factory.stats.registry.get_sample_value(
            "sidecar_policy_reloads_total", {"outcome": "refused"}
        )
        assert value == 1
        (tmp_path / "sidecar.yaml").write_text(text)
        assert await _reloader(app).reload()
        assert _reloader(app).fault is None


async def test_streams_follow_the_file(tmp_path: Path) -> None:
    """New ones are started, changed ones replaced, gone ones stopped."""
    first = [_file(tmp_path, "a.mp4"), _file(tmp_path, "b.mp4")]
    async with app_house(tmp_path, streams=first) as app:
        app.add_configured()
        old = app.streams.get("b")
        second = [
            {**_file(tmp_path, "b.mp4"), "labels": {"tier": "new"}},
            _file(tmp_path, "c.mp4"),
        ]
        configuration(tmp_path, streams=second)
        assert await _reloader(app).reload()
        exchanges = [
            task
            for task in asyncio.all_tasks()
            if task.get_name().startswith("exchange:")
        ]
        await asyncio.wait(exchanges)
        assert app.streams.get("b") is not old
        assert app.streams.get("c") is not None
        assert app.streams.get("a") is None
        watch = app.streams.get("b")
        assert watch is not None
        assert watch.stream.labels == {"tier": "new"}


async def test_streams_whose_entry_did_not_change_are_left_alone(
    tmp_path: Path,
) -> None:
    """One that ended stays ended; one whose id is taken is tried again later."""
    streams = [_file(tmp_path, "a.mp4")]
    async with app_house(tmp_path, streams=streams) as app:
        await _reloader(app).reload()
        assert app.streams.get("a") is None
        taken = StreamConfig.model_validate({"id": "b", "whep": {"url": "http://h"}})
        app.streams.add(app.factory.from_config(taken, Origin.API))
        configuration(tmp_path, streams=[*streams, _file(tmp_path, "b.mp4")])
        with capture_logs() as logs:
            await _reloader(app).reload()
        assert "stream_taken" in [entry["event"] for entry in logs]
        await app.streams.remove("b")
        with capture_logs() as logs:
            await _reloader(app).reload()
        assert "stream_changed" in [entry["event"] for entry in logs]


async def test_what_only_a_restart_changes_is_said(tmp_path: Path) -> None:
    """The operator is told that it has no effect yet."""
    async with app_house(tmp_path) as app:
        configuration(tmp_path, sampling={"interval_s": 0.5}, drain_s=3)
        with capture_logs() as logs:
            assert await _reloader(app).reload()
        (line,) = [entry for entry in logs if entry["event"] == "restart_needed"]
        assert line["keys"] == ["sampling", "drain_s"]


async def test_rules_are_checked_against_the_models_of_the_file(tmp_path: Path) -> None:
    """A rule that its models would never wake is refused; so is a missing model."""
    async with app_house(tmp_path) as app:
        path = tmp_path / "sidecar.yaml"
        text = path.read_text()
        path.write_text(text.replace("sexual.explicit", "drugs"))
        assert not await _reloader(app).reload()
        assert "never given by model 'testcard'" in str(_reloader(app).fault)
        path.write_text(f"model: another\n{text}")
        assert not await _reloader(app).reload()
        assert "'another': no such model" in str(_reloader(app).fault)


async def test_thresholds_for_another_model_are_refused(tmp_path: Path) -> None:
    """They belong to a hash; the old policies stay, and the fault says what to do."""
    async with app_house(tmp_path) as app:
        before = app.streams.policies
        path = tmp_path / "sidecar.yaml"
        whole = yaml.safe_load(await asyncio.to_thread(path.read_text))
        whole["policies"][0]["calibrated_for"] = ["sha256:" + "0" * 64]
        await asyncio.to_thread(path.write_text, yaml.safe_dump(whole))
        assert not await _reloader(app).reload()
        assert "calibrate them for that model" in str(_reloader(app).fault)
        assert app.streams.policies is before


def test_the_fingerprint_covers_both_files(tmp_path: Path) -> None:
    """A change of the policies' own file counts; a missing file has one too."""
    path = tmp_path / "c.yaml"
    path.write_text("policies: p.yaml\n")
    missing = fingerprint(path)
    (tmp_path / "p.yaml").write_text("[]")
    assert fingerprint(path) != missing
    assert len(fingerprint(path)) == 2
    assert len(fingerprint(tmp_path / "none.yaml")) == 1
