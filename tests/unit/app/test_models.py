"""The models of a configuration, and what has to go with them."""

import asyncio
from pathlib import Path

import pytest

from sidecar.app.models import Manifests, check, load_ensemble, load_manifests
from sidecar.classify.onnx_engine import OnnxEngine
from sidecar.clock import SystemClock
from sidecar.config import Config, load
from sidecar.errors import ConfigError, ManifestError
from sidecar.stats import Stats
from tests.fakes.onnx_models import mean_colour_folder
from tests.unit.app.app_house import configuration

OTHER = "sha256:" + "0" * 64


def _config(folder: Path, **changes: object) -> Config:
    return load(configuration(folder, **changes), {})


def _loaded(folder: Path, **changes: object) -> tuple[Config, Manifests]:
    config = _config(folder, **changes)
    return config, load_manifests(config)


def _rule(category: str) -> dict[str, object]:
    return {
        "name": "r",
        "category": category,
        "action": "flag",
        "enter": 0.9,
        "exit": 0.5,
        "hits": 1,
        "of": 1,
        "within_s": 5,
    }


def test_models_are_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    """By name or by path; a rule may wait for any of their categories."""
    folder = mean_colour_folder(tmp_path / "mine")
    rules = [_rule("violence.graphic"), {**_rule("self_harm.act"), "name": "q"}]
    config = _config(
        tmp_path,
        models=[str(folder), "testcard"],
        policies=[{"name": "p", "rules": rules}],
    )
    assert [m.name for m in load_manifests(config)] == ["mean-colour", "testcard"]
    check(config)


def test_a_rule_that_none_of_them_wakes_is_refused(tmp_path: Path) -> None:
    """The fault names both models and what they do give."""
    folder = mean_colour_folder(tmp_path / "mine")
    config = _config(
        tmp_path,
        models=["testcard", str(folder)],
        policies=[{"name": "p", "rules": [_rule("drugs")]}],
    )
    with pytest.raises(ConfigError, match="never given by model 'testcard', 'mean-c"):
        load_manifests(config)


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    """Scores name their model: two of one name could not be told apart."""
    folder = mean_colour_folder(tmp_path / "mine", name="testcard")
    config = _config(tmp_path, models=["testcard", str(folder)])
    with pytest.raises(ConfigError, match="'testcard' is the name of more than one"):
        load_manifests(config)


def test_thresholds_belong_to_a_model(tmp_path: Path) -> None:
    """Another hash than they were set for is a fault that says how to mend it."""
    rules = [_rule("sexual.explicit")]
    policy = {"name": "p", "rules": rules, "calibrated_for": [OTHER]}
    with pytest.raises(ConfigError) as caught:
        load_manifests(_config(tmp_path, policies=[policy]))
    (fault,) = caught.value.faults
    assert "policy 'p': calibrated_for" in fault
    assert "calibrate them for that model and add its hash here" in fault
    (running,) = load_manifests(_config(tmp_path))
    assert running.ref.hash in fault
    policy["calibrated_for"] = [OTHER, running.ref.hash]
    load_manifests(_config(tmp_path, policies=[policy]))


def test_a_model_the_rules_do_not_hear_needs_no_calibration(tmp_path: Path) -> None:
    """Thresholds are about the categories they are on."""
    folder = mean_colour_folder(tmp_path / "mine")
    rules = [_rule("violence.graphic")]
    labels = [
        {"name": "red", "category": None},
        {"name": "green", "category": "safe"},
        {"name": "blue", "category": "sexual.explicit"},
    ]
    deaf = mean_colour_folder(tmp_path / "deaf", name="deaf", labels=labels)
    (heard,) = load_manifests(_config(tmp_path, model=str(folder)))
    policy = {"name": "p", "rules": rules, "calibrated_for": [heard.ref.hash]}
    both = [str(folder), str(deaf)]
    load_manifests(_config(tmp_path, models=both, policies=[policy]))


def test_a_canary_needs_the_model_that_knows_the_card(tmp_path: Path) -> None:
    """Without it, it would alarm for ever; the mend says what to write."""
    folder = mean_colour_folder(tmp_path / "mine")
    config = _config(tmp_path, model=str(folder), canary={"every_s": 5})
    with pytest.raises(ConfigError, match=r"say models: \[mean-colour, testcard\]"):
        load_manifests(config)
    both = [str(folder), "testcard"]
    load_manifests(_config(tmp_path, models=both, canary={"every_s": 5}))
    odd = {"every_s": 5, "category": "drugs"}
    with pytest.raises(ConfigError, match="there is no card of drugs"):
        load_manifests(_config(tmp_path, canary=odd))


@pytest.mark.anyio
async def test_an_ensemble_that_cannot_be_loaded_leaves_nothing(tmp_path: Path) -> None:
    """If the second model is broken, the first one's thread ends as well."""
    good = mean_colour_folder(tmp_path / "good")
    bad = mean_colour_folder(tmp_path / "bad", name="bad", input={"name": "nobody"})
    config, manifests = await asyncio.to_thread(
        _loaded, tmp_path, models=[str(good), str(bad)]
    )
    with pytest.raises(ManifestError):
        await load_ensemble(config, manifests, SystemClock(), Stats())


@pytest.mark.anyio
async def test_an_ensemble_is_ready_when_it_is_there(tmp_path: Path) -> None:
    """One engine and queue a model."""
    config, manifests = await asyncio.to_thread(_loaded, tmp_path)
    ensemble = await load_ensemble(config, manifests, SystemClock(), Stats())
    assert [ref.name for ref in ensemble.refs] == ["testcard"]
    await ensemble.close()


@pytest.mark.anyio
@pytest.mark.parametrize(("said", "most"), [("auto", 2), (3, 3)])
async def test_batches_are_as_set_or_as_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | int, most: int
) -> None:
    """Two pictures go together if two are worth the wait, with room for four."""
    monkeypatch.setattr(OnnxEngine, "brief_batch", lambda _: 2)
    config, manifests = await asyncio.to_thread(
        _loaded, tmp_path, batch={"max_batch_size": said}
    )
    ensemble = await load_ensemble(config, manifests, SystemClock(), Stats())
    try:
        (lane,) = ensemble.lanes
        assert lane.batcher._planner._settings.max_batch_size == most
        assert lane.engine.max_batch_size == config.batch.most
    finally:
        await ensemble.close()


def test_how_large_a_batch_may_be(tmp_path: Path) -> None:
    """By default as measured, with room for four; words and nonsense are refused."""
    assert _config(tmp_path).batch.most == 4
    assert _config(tmp_path, batch={"max_batch_size": 16}).batch.most == 16
    for wrong in (0, "large", 1025):
        with pytest.raises(ConfigError, match="max_batch_size"):
            _config(tmp_path, batch={"max_batch_size": wrong})
