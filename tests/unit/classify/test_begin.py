"""Beginning a batch by a call: its end is told once, later, whatever it is."""

import asyncio
from dataclasses import dataclass, field

import pytest

from sidecar.classify.begin import BatchTasks
from sidecar.classify.lane import Rows
from sidecar.errors import EngineDead, EngineError
from tests.fakes.batcher_bench import sample, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

RED = sample().picture


@dataclass
class Told:
    """What was told, in order."""

    ends: list[tuple[Rows | None, BaseException | None]] = field(default_factory=list)

    def __call__(self, rows: Rows | None, error: BaseException | None) -> None:
        """See `Done`."""
        self.ends.append((rows, error))


async def test_rows_are_told_later() -> None:
    """Never before `begin` has returned; once."""
    told = Told()
    BatchTasks(FakeEngine()).begin([RED], told)
    assert told.ends == []
    await settle()
    ((rows, error),) = told.ends
    assert rows is not None
    assert rows.shape == (1, 3)
    assert error is None


async def test_what_infer_raises_is_told() -> None:
    """An error of the batch, of the engine, or a bug: as it is."""
    engine, told = FakeEngine(errors=[EngineError("bad")]), Told()
    tasks = BatchTasks(engine)
    tasks.begin([RED], told)
    await settle()
    engine.close()
    tasks.begin([RED], told)
    await settle()
    assert [(rows, type(error)) for rows, error in told.ends] == [
        (None, EngineError),
        (None, EngineDead),
    ]
    await tasks.close()


async def test_one_that_is_left_ends_before_close_returns() -> None:
    """No task stays behind."""
    engine, told = FakeEngine(), Told()
    engine.gate.clear()
    tasks = BatchTasks(engine)
    leave = tasks.begin([RED], told)
    await engine.begun.wait()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "batch-mean-colour" in names
    leave()
    await tasks.close()
    await settle()
    assert [str(error) for _, error in told.ends] == ["the batch was cancelled"]
