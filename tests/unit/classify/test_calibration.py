"""The short measurement at the start."""

import threading
from pathlib import Path

import pytest

from sidecar.classify import calibration, graph
from sidecar.classify.calibration import best_session, throughput
from sidecar.classify.layout import Layout
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import Got
from tests.fakes.onnx_models import mean_colour_folder

OPEN = EngineSettings(threads=None, callers=None, cores=2)


def test_a_quick_model_is_left_with_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What feeds it needs the others: the second session is not even made."""
    monkeypatch.setattr(calibration, "rate", lambda *_: 5000.0)
    manifest = load(mean_colour_folder(tmp_path / "m"))
    session = best_session(manifest, OPEN, graph.prepare(manifest))
    assert session.layout == Layout(1, 1)


@pytest.mark.parametrize(
    ("best", "rates"),
    [(Layout(2, 1), {1: 10.0, 2: 19.0}), (Layout(1, 2), {1: 19.0, 2: 12.0})],
)
def test_the_fastest_layout_is_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    best: Layout,
    rates: dict[int, float],
) -> None:
    """With as many lanes as callers, and the threads it was measured with."""

    def rate(session: OnnxSession, callers: int) -> float:
        if (session.layout.threads, callers) == (1, 1):
            return 10.0
        return rates[session.layout.threads]

    monkeypatch.setattr(calibration, "rate", rate)
    manifest = load(mean_colour_folder(tmp_path / "m"))
    session = best_session(manifest, OPEN, graph.prepare(manifest))
    assert session.layout == best
    assert len(session.lanes) >= best.callers


def test_what_is_set_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layout that leaves nothing open costs no time at the start."""
    monkeypatch.setattr(calibration, "rate", lambda *_: 1 / 0)
    manifest = load(mean_colour_folder(tmp_path / "m"))
    settings = EngineSettings(threads=1, callers=2, cores=2)
    session = best_session(manifest, settings, graph.prepare(manifest))
    assert session.layout == Layout(1, 2)
    assert len(session.lanes) == 2


def test_a_real_model_is_measured(tmp_path: Path) -> None:
    """With pictures, on as many threads as there are callers."""
    manifest = load(mean_colour_folder(tmp_path / "m"))
    session = best_session(
        manifest, EngineSettings(threads=1, callers=2, cores=2), graph.prepare(manifest)
    )
    assert calibration.rate(session, 2, 0.01) > 0


def test_throughput_counts_all_callers() -> None:
    """Each works at the same time as the others, twice at least."""
    seen: list[str] = []
    meeting = threading.Barrier(2)

    def work() -> None:
        meeting.wait(5)
        seen.append(threading.current_thread().name)

    assert throughput(work, 2, 0.0) > 0
    assert len(seen) == 4
    assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("a_second", "pictures"), [(5000.0, 4), (500.0, 2), (200.0, 1), (3.0, 1)]
)
def test_a_batch_is_as_large_as_is_worth_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a_second: float, pictures: int
) -> None:
    """What is done in five milliseconds; one picture at least, the largest at most."""
    monkeypatch.setattr(calibration, "rate", lambda *_: a_second)
    session = OnnxSession(load(mean_colour_folder(tmp_path / "m")))
    assert calibration.brief_batch(session) == pictures


def test_an_accelerator_has_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There larger ones gain, and nothing is measured."""
    monkeypatch.setattr(calibration, "rate", lambda *_: 1 / 0)
    session = OnnxSession(load(mean_colour_folder(tmp_path / "m")))
    session.got = Got("cuda")
    assert calibration.brief_batch(session) == session.max_batch_size
