"""A whole sidecar whose model is elsewhere, or exchanged, while a stream is watched."""

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.classify.catalogue import bundled_models
from sidecar.classify.manifest import load
from sidecar.domain import Category
from sidecar.testcard.clip import Clip, write_clip
from tests.contract.serving.mlserver import MlServer
from tests.e2e.conftest import Site
from tests.e2e.processes import until
from tests.e2e.sidecar_process import SidecarProcess
from tests.fakes.onnx_models import mean_colour_folder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def _stream(site: Site) -> dict[str, Any]:
    """A card that is always shown."""
    clip = site.folder / "clip.mp4"
    shape = Clip(width=320, height=180, fps=15, clean_s=0, card_s=4)
    write_clip(clip, Category.SEXUAL_EXPLICIT, shape)
    return {"id": "loop", "file": {"path": str(clip), "loop": True}}


def _verdict(sidecar: SidecarProcess) -> tuple[str, str | None]:
    verdict = sidecar.streams()["loop"]["verdict"]
    return verdict["state"], verdict["reason"]


def _unready(sidecar: SidecarProcess) -> list[str]:
    """The components that are not ready."""
    reply = sidecar.get("/readyz")
    assert reply is not None
    return [one["component"] for one in reply.json()["reasons"]]


def _models(sidecar: SidecarProcess) -> set[str]:
    return {one["model"] for one in sidecar.streams()["loop"]["scores"].values()}


def test_a_server_that_is_killed_makes_the_stream_unknown(site: Site) -> None:
    """UNKNOWN(engine_error), unready, alive; and back when the server is."""
    server = MlServer(site.folder / "serving", [load(bundled_models() / "testcard")])
    try:
        server.start()
        remote = {"urls": [server.urls[1]], "timeout_s": 5, "probe_s": 0.5}
        sidecar = site.sidecar(streams=[_stream(site)], engine={"remote": remote})
        site.collector.action("loop", 45)
        server.kill()
        gone = ("unknown", "engine_error")
        until(lambda: _verdict(sidecar) == gone, 45, "the stream is unknown")
        until(lambda: _unready(sidecar) == ["engine"], 45, "it is not ready")
        server.start()
        until(lambda: _verdict(sidecar)[0] == "violating", 60, "it is seen again")
        sidecar.wait_ready()
        assert sidecar.metric("sidecar_remote_batches_total", outcome="failed") >= 1
        assert sidecar.child.alive
    finally:
        server.kill()


def test_a_model_is_exchanged_by_the_file(site: Site, tmp_path: Path) -> None:
    """SIGHUP: the new one looks on, takes over, and no sample is lost on the way."""
    old = mean_colour_folder(tmp_path / "old")
    swap = {"samples": 5, "max_disagreement": 1.0}
    sidecar = site.sidecar(streams=[_stream(site)], model=str(old), swap=swap)
    until(lambda: _models(sidecar) == {"mean-colour"}, 45, "the old model scores")
    changed = {**sidecar.config, "model": "testcard"}
    sidecar.path.write_text(yaml.safe_dump(changed))
    sidecar.child.send(signal.SIGHUP)
    until(lambda: _models(sidecar) == {"testcard"}, 60, "the new model scores")
    assert site.collector.action("loop", 45).body["model"]["name"] == "testcard"
    assert sidecar.metric("sidecar_model_swaps_total", outcome="swapped") == 1
    assert sidecar.metric("sidecar_samples_total", outcome="error") == 0
    until(lambda: sidecar.logged("model_retired"), 45, "the old model is ended")
