"""Which models look at the streams now, and which one looks on to take over.

A new one sees the same live samples in shadow: its word is compared and goes nowhere.
When it takes over, what the old one has in hand is still answered by the old one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from sidecar.classify.comparison import Agreement, Comparison
from sidecar.classify.ensemble import Ensemble, Question
from sidecar.domain import ModelRef, PictureFormat, Sample, Scores
from sidecar.errors import EngineError

Hits = Callable[[str, Scores], frozenset[str]]
"""The names of the rules that hear a hit in a stream's scores."""

_NO_FORMATS: Final[tuple[PictureFormat, ...]] = ()


class Shadow:
    """A new ensemble that looks on.

    Attributes:
        ensemble: The new one.
        enough: Set once `samples` were compared, or it failed for good.
        fault: Why it failed for good; None if it did not.
    """

    def __init__(
        self, ensemble: Ensemble, samples: int, old_hits: Hits, new_hits: Hits
    ) -> None:
        self.ensemble = ensemble
        self.enough = asyncio.Event()
        self.fault: str | None = None
        self._wanted = samples
        self._old_hits = old_hits
        self._new_hits = new_hits
        self._comparison = Comparison()
        if samples == 0:
            self.enough.set()

    @property
    def agreement(self) -> Agreement:
        """The figures so far."""
        return self._comparison.agreement

    def fail(self, why: str) -> None:
        """It will never take over."""
        self.fault = why
        self.enough.set()

    def ask(self, sample: Sample) -> Question | None:
        """Puts a live sample to it, once the samplers deliver what it wants to see."""
        if self.enough.is_set() or not self.ensemble.fits(sample):
            return None
        try:
            return self.ensemble.ask(sample)
        except EngineError:
            self._comparison.failed()
            return None

    def compare(self, question: Question, old: Scores) -> None:
        """The running model has said `old`; the new one will answer, or fail."""
        question.when_done(partial(self._answered, old))

    def _answered(self, old: Scores, new: Scores | None) -> None:
        if new is None:
            self._comparison.failed()
            return
        stream_id = old.stream_id
        self._comparison.add(
            old, new, self._old_hits(stream_id, old), self._new_hits(stream_id, new)
        )
        if self._comparison.agreement.samples >= self._wanted:
            self.enough.set()


class Roster:
    """The pipeline's classifier: one ensemble at a time, exchanged while it runs."""

    def __init__(self, first: Ensemble) -> None:
        self.current = first
        self.generation = 0
        self._retiring: Ensemble | None = None
        self._shadow: Shadow | None = None

    @property
    def refs(self) -> tuple[ModelRef, ...]:
        """The models that decide now."""
        return self.current.refs

    @property
    def formats(self) -> tuple[PictureFormat, ...]:
        """What has to be shown: the running models' formats first."""
        more = self._shadow.ensemble.formats if self._shadow else _NO_FORMATS
        return tuple(dict.fromkeys((*self.current.formats, *more)))

    @property
    def alive(self) -> bool:
        """Whether the running models may still answer."""
        return self.current.alive

    @property
    def failures_in_a_row(self) -> int:
        """Of the running model that fares worst."""
        return self.current.failures_in_a_row

    @property
    def failing(self) -> bool:
        """Whether a running model's last batch failed, or its next one would."""
        return self.current.failing

    async def classify(self, sample: Sample) -> Scores:
        """The running models' scores of `sample`.

        Raises:
            EngineError: As `Ensemble.classify`.
        """
        ensemble, shadow = self._for(sample), self._shadow
        if shadow is None or ensemble is not self.current:
            return await ensemble.classify(sample)
        question = shadow.ask(sample)
        try:
            scores = await ensemble.classify(sample)
        except BaseException:
            if question is not None:
                question.leave()
            raise
        if question is not None:
            shadow.compare(question, scores)
        return scores

    def _for(self, sample: Sample) -> Ensemble:
        """The running one; a sample that was scaled for the former one is its own."""
        retiring = self._retiring
        if retiring is not None and not self.current.fits(sample):
            return retiring
        return self.current

    def look_on(self, shadow: Shadow) -> None:
        """From now on `shadow` is put every sample; another one's time is over."""
        self._shadow = shadow

    def look_away(self, shadow: Shadow) -> None:
        """`shadow` is put nothing more."""
        if self._shadow is shadow:
            self._shadow = None

    def take_over(self, shadow: Shadow) -> Ensemble:
        """`shadow` decides from now on; the former ensemble, which is to be retired."""
        former, self.current = self.current, shadow.ensemble
        self._retiring = former
        self.generation += 1
        self.look_away(shadow)
        return former

    async def retire(self, former: Ensemble) -> None:
        """Returns once everything put to `former` is answered; it takes no more."""
        await former.finish()
        if self._retiring is former:
            self._retiring = None
        await former.drain()
