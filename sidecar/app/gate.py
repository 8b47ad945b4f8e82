"""The gate before the models that leaves out what has not changed, if asked for."""

from sidecar.classify.roster import Roster
from sidecar.classify.unchanged import Unchanged
from sidecar.config import Config
from sidecar.decide.onlooker import Onlooker
from sidecar.domain import Sample, Scores, Stream
from sidecar.stats import Stats


class Gate(Onlooker):
    """The gate, which hears when a stream is gone, and lets its picture go."""

    def __init__(self, unchanged: Unchanged) -> None:
        self._unchanged = unchanged

    async def classify(self, sample: Sample) -> Scores:
        """The models' scores, or kept ones. Raises EngineError."""
        return await self._unchanged.classify(sample)

    def ended(self, stream: Stream, now: float) -> None:  # noqa: ARG002 an onlooker's
        """Nothing of the stream is kept."""
        self._unchanged.forget(stream.id)


def gate_of(config: Config, roster: Roster, stats: Stats) -> Gate | None:
    """The gate that a configuration asks for, if it does."""
    wanted = config.unchanged
    if wanted is None:
        return None
    return Gate(Unchanged(roster, wanted.max_s, wanted.noise, stats))
