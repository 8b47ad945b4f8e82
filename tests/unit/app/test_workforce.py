"""How many processes receive streams, by what the machine has."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sidecar.app.workforce import worker_count
from sidecar.config import Config
from sidecar.config.schema import IngestConfig
from sidecar.stats import Stats
from tests.fakes.workers import silent_worker
from tests.unit.app.app_house import app_house
from tests.unit.app.test_sampling_stages import LEAST


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "count"),
    [
        ("auto", 1, 1, 1),
        ("auto", 1, 2, 1),
        ("auto", 1, 8, 7),
        ("auto", 8, 4, 1),
        ("auto", "auto", 2, 1),
        ("auto", "auto", 8, 7),
        (1, 1, 8, 1),
        (3, 1, 1, 3),
    ],
)
def test_auto_leaves_the_engine_its_cores(
    workers: object, threads: object, cores: int, count: int
) -> None:
    """One on one core, and on two; a number is taken as it is."""
    config = Config.model_validate(
        {**LEAST, "ingest": {"workers": workers}, "engine": {"threads": threads}}
    )
    assert worker_count(config, cores) == count


def test_auto_is_the_default() -> None:
    """Nobody has to know how many cores there are."""
    assert Config.model_validate(LEAST).ingest.workers == "auto"


@pytest.mark.parametrize("workers", [0, -1, 257, "many", 1.5, None, True])
def test_other_words_are_refused(workers: object) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError):
        IngestConfig.model_validate({"workers": workers})


def test_elsewhere_than_on_linux_there_are_no_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`auto` is one; a number is refused when the file is checked."""
    monkeypatch.setattr("sys.platform", "darwin")
    assert worker_count(Config.model_validate(LEAST), 8) == 1
    assert IngestConfig(workers=1).workers == 1
    with pytest.raises(ValidationError, match="need Linux"):
        IngestConfig(workers=2)


@pytest.mark.anyio
async def test_without_a_worker_it_is_not_ready(tmp_path: Path) -> None:
    """Until the first one runs nobody should be sent here."""
    async with app_house(tmp_path, ingest={"workers": 2}) as app:
        assert [keeper.name for keeper in app.keepers] == ["w1", "w2"]
        pool = app.keepers[0]._pool
        seen = []
        async with silent_worker("w1", Stats()) as worker:
            for join in (False, True):
                if join:
                    pool.joins(worker)
                app.beat.beat()
                faults = {fault.component for fault in app.beat._health.faults}
                seen.append("workers" in faults)
        assert seen == [True, False]


@pytest.mark.anyio
async def test_one_worker_is_this_process(tmp_path: Path) -> None:
    """No process is started, and no pool is there."""
    async with app_house(tmp_path, ingest={"workers": 1}) as app:
        assert app.keepers == ()
