"""The models that look at every sample together, each with a queue of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.classify.batcher import Batcher, Waiter
from sidecar.classify.engine import Engine
from sidecar.classify.merge import merge
from sidecar.domain import EngineFacts, ModelRef, PictureFormat, Sample, Scores
from sidecar.errors import EngineError


@dataclass(frozen=True, slots=True)
class Lane:
    """A model and its queue.

    Attributes:
        engine: The model.
        batcher: Its queue.
        tend: Looks after the engine, for ever; None if it needs nobody.
        ready: Whether it could take a batch now; None: always.
        close: Ends the engine, without blocking the loop; None: a thread calls its own.
        facts: What the engine runs on; None if that is somebody else's business.
    """

    engine: Engine
    batcher: Batcher
    tend: Callable[[], Coroutine[Any, Any, None]] | None = None
    close: Callable[[], Coroutine[Any, Any, None]] | None = None
    ready: Callable[[], bool] | None = None
    facts: EngineFacts | None = None


class Question:
    """A sample on its way through the lanes; to be awaited or left, once."""

    def __init__(self, pairs: Sequence[tuple[Batcher, Waiter]]) -> None:
        self._pairs = list(pairs)

    async def answer(self) -> Scores:
        """What all models say together. The first one's error is the answer."""
        try:
            found = [await batcher.answer(waiter) for batcher, waiter in self._pairs]
        except BaseException:
            self.leave()
            raise
        finally:
            self._pairs = []  # an exception keeps this frame, and so the pictures
        return merge(found)

    def leave(self) -> None:
        """Nobody waits for it any more."""
        for batcher, waiter in self._pairs:
            batcher.leave(waiter)

    def when_done(self, tell: Callable[[Scores | None], None]) -> None:
        """`tell` is called once, by the loop: with scores, or None if it failed."""
        left = len(self._pairs)

        def one_done(_: "asyncio.Future[Scores]") -> None:
            nonlocal left
            left -= 1
            if left == 0:
                tell(self._result())

        for _, waiter in self._pairs:
            waiter.answer.add_done_callback(one_done)

    def _result(self) -> Scores | None:
        futures = [waiter.answer for _, waiter in self._pairs]
        failed = [f for f in futures if f.cancelled() or f.exception() is not None]
        return None if failed else merge([f.result() for f in futures])


class Ensemble:
    """One or more models. A sample is answered once: by all of them, or by an error.

    Attributes:
        lanes: The models, the first one first.
        formats: What they want to see, each format once, the first model's first.
        refs: Who they are.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = tuple(lanes)
        self.formats: tuple[PictureFormat, ...]
        self.formats = tuple(dict.fromkeys(lane.engine.fmt for lane in lanes))
        self.refs: tuple[ModelRef, ...] = tuple(lane.engine.ref for lane in lanes)
        self._only = self.lanes[0] if len(self.lanes) == 1 else None
        self._in_flight = 0
        self._emptied: asyncio.Event | None = None  # for who waits for that

    @property
    def alive(self) -> bool:
        """Whether every model may still answer."""
        return all(lane.engine.alive for lane in self.lanes)

    @property
    def failures_in_a_row(self) -> int:
        """Of the model that fares worst: batches failed since one succeeded."""
        return max(lane.batcher.failures_in_a_row for lane in self.lanes)

    @property
    def failing(self) -> bool:
        """Whether a model's last batch failed, or its next one would."""
        return self.failures_in_a_row > 0 or any(
            lane.ready is not None and not lane.ready() for lane in self.lanes
        )

    def fits(self, sample: Sample) -> bool:
        """Whether `sample` carries a picture for each model."""
        return all(sample.seen_as(fmt) is not None for fmt in self.formats)

    async def classify(self, sample: Sample) -> Scores:
        """All models' scores of `sample`, merged.

        Raises:
            SampleGivenWay: It was displaced, or grew too old, before one of them.
            EngineError: One of them failed: without it the sample was not seen.
        """
        self._in_flight += 1
        try:
            if self._only is not None:  # as cheap as without an ensemble
                view = self._view(self._only, sample)
                return await self._only.batcher.classify(view)
            return await self.ask(sample).answer()
        finally:
            # An exception keeps this frame, which would keep the picture.
            view = sample = None  # type: ignore[assignment]
            self._in_flight -= 1
            if not self._in_flight and self._emptied is not None:
                self._emptied.set()

    def ask(self, sample: Sample) -> Question:
        """Queues `sample` with every model. Raises EngineError; then with none."""
        views = [self._view(lane, sample) for lane in self.lanes]
        pairs: list[tuple[Batcher, Waiter]] = []
        try:
            for lane, view in zip(self.lanes, views, strict=True):
                pairs.append((lane.batcher, lane.batcher.enter(view)))
        except EngineError:
            Question(pairs).leave()
            raise
        return Question(pairs)

    def _view(self, lane: Lane, sample: Sample) -> Sample:
        view = sample.seen_as(lane.engine.fmt)
        if view is None:
            raise EngineError(
                f"{sample.stream_id}: no picture as model {lane.engine.ref.name} wants"
                " to see it"
            )
        return view

    async def finish(self) -> None:
        """Returns once nobody waits for an answer of `classify`."""
        while self._in_flight:
            if self._emptied is None or self._emptied.is_set():
                self._emptied = asyncio.Event()
            await self._emptied.wait()

    async def drain(self) -> None:
        """Takes no more samples; returns once the batches in flight are answered."""
        for lane in self.lanes:
            await lane.batcher.drain()

    async def close(self) -> None:
        """Ends all engines; may be called twice."""
        for lane in self.lanes:
            if lane.close is not None:
                await lane.close()
            else:
                await asyncio.to_thread(lane.engine.close)
