"""`engine.remote`: models that servers run, as a configuration says."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.build import App
from sidecar.app.models import load_ensemble, load_manifests
from sidecar.classify.fallback import Fallback
from sidecar.classify.remote_engine import RemoteEngine
from sidecar.clock import SystemClock
from sidecar.config import Config, load
from sidecar.errors import ConfigError, ManifestError
from sidecar.stats import Stats
from tests.e2e.processes import free_port
from tests.fakes.oip import NetworkServer, begin_polling
from tests.fakes.onnx_models import mean_colour_folder
from tests.unit.app.app_house import app_house, configuration

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def grpc_thread() -> None:
    """There from the start."""
    begin_polling()


def _loaded(folder: Path, **remote: object) -> tuple[Config, Any]:
    mine = mean_colour_folder(folder / "mine")
    engine = {"remote": {"timeout_s": 10, **remote}}
    path = configuration(folder, models=[str(mine), "testcard"], engine=engine)
    config = load(path, {})
    return config, load_manifests(config)


async def test_one_of_two_models_is_elsewhere(tmp_path: Path) -> None:
    """The other one runs here; the server was asked and agrees with the file."""
    async with NetworkServer().over_http() as url:
        config, manifests = await asyncio.to_thread(
            _loaded, tmp_path, urls=[url], only=["mean-colour"]
        )
        ensemble = await load_ensemble(config, manifests, SystemClock(), Stats())
        kinds = [type(lane.engine).__name__ for lane in ensemble.lanes]
        assert kinds == ["RemoteEngine", "OnnxEngine"]
        assert not ensemble.failing
        await ensemble.close()
        await ensemble.close()


async def test_with_a_fallback_it_is_never_unready(tmp_path: Path) -> None:
    """Servers that are down are a reason to run it here."""
    config, manifests = await asyncio.to_thread(
        _loaded,
        tmp_path,
        urls=[f"grpc://127.0.0.1:{free_port()}"],
        only=["mean-colour"],
        fallback=True,
    )
    ensemble = await load_ensemble(config, manifests, SystemClock(), Stats())
    assert isinstance(ensemble.lanes[0].engine, Fallback)
    assert not ensemble.failing
    await ensemble.close()


async def test_without_one_it_is_unready_and_alive(tmp_path: Path) -> None:
    """Readiness says so before a sample is lost; the process is not restarted."""
    config, manifests = await asyncio.to_thread(
        _loaded,
        tmp_path,
        urls=[f"http://127.0.0.1:{free_port()}"],
        only=["mean-colour"],
        prove=False,
    )
    ensemble = await load_ensemble(config, manifests, SystemClock(), Stats())
    assert isinstance(ensemble.lanes[0].engine, RemoteEngine)
    assert ensemble.failing
    assert ensemble.alive
    assert ensemble.failures_in_a_row == 0
    await ensemble.close()


async def test_another_model_under_that_name_is_refused(tmp_path: Path) -> None:
    """The server's mean colour is no testcard: it says what is served instead."""
    async with NetworkServer().over_http() as url:
        config, manifests = await asyncio.to_thread(
            _loaded, tmp_path, urls=[url], only=["testcard"]
        )
        with pytest.raises(ManifestError, match="describes no input 'picture'"):
            await load_ensemble(config, manifests, SystemClock(), Stats())


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """A model that is not there; one name for two models."""
    url = "http://a:1"
    with pytest.raises(ConfigError, match="'nobody' is none of the models"):
        _loaded(tmp_path, urls=[url], only=["nobody"])
    with pytest.raises(ConfigError, match="'x' cannot be mean-colour and testcard"):
        _loaded(tmp_path, urls=[url], model_name="x")
    _loaded(tmp_path, urls=[url], model_name="x", only=["testcard"])


async def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is no dependency of those who classify here."""
    monkeypatch.setitem(sys.modules, "sidecar.classify.oip", None)
    monkeypatch.delattr("sidecar.classify.oip", raising=False)
    config, manifests = await asyncio.to_thread(
        _loaded, tmp_path, urls=["http://a:1"], only=["testcard"]
    )
    with pytest.raises(ConfigError, match=r"install moderation-sidecar\[remote\]"):
        await load_ensemble(config, manifests, SystemClock(), Stats())


async def test_certificates_that_are_none_are_a_fault(tmp_path: Path) -> None:
    """With the keys to mend."""
    (tmp_path / "ca.pem").write_text("none")
    config, manifests = await asyncio.to_thread(
        _loaded,
        tmp_path,
        urls=["https://a:1"],
        only=["testcard"],
        ca_file="ca.pem",
    )
    with pytest.raises(ConfigError, match="mend ca_file, cert_file or key_file"):
        await load_ensemble(config, manifests, SystemClock(), Stats())


async def test_readiness_tells_of_servers_that_are_down(tmp_path: Path) -> None:
    """`engine_failing` in the status, though no batch has failed yet."""
    remote = {"urls": [f"http://127.0.0.1:{free_port()}"], "prove": False}
    async with app_house(tmp_path, engine={"remote": remote}) as app:
        assert "engine_failing" in _said(app)


def _said(app: App) -> tuple[str, ...]:
    app.beat.beat()
    return app.beat._said or ()
