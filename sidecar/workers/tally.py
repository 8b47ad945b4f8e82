"""A worker's numbers, added to the sidecar's."""

from collections.abc import Iterable
from typing import Final

from sidecar.stats import Stats
from sidecar.workers.messages import Change

_ABOUT_TIME: Final = "_created"  # prometheus_client's own, beside each counter

_Key = tuple[str, tuple[tuple[str, str], ...]]


class Tally:
    """What has changed in this process's numbers since it was last asked.

    Counters and gauges, as sums; the legs of a sample are observed where it arrives.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._told: dict[_Key, float] = {}

    def changes(self) -> tuple[Change, ...]:
        """Since the last call."""
        found = []
        for (name, labels), value in self._values():
            told = self._told.get((name, labels), 0.0)
            if value != told:
                self._told[name, labels] = value
                found.append(Change(name, dict(labels), value - told))
        return tuple(found)

    def _values(self) -> Iterable[tuple[_Key, float]]:
        for name, metric in self._stats.sums().items():
            for family in metric.collect():
                for sample in family.samples:
                    if not sample.name.endswith(_ABOUT_TIME):
                        yield (name, tuple(sample.labels.items())), sample.value


class Share:
    """What one worker has added to the sidecar's numbers."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._gauged: dict[_Key, float] = {}

    def add(self, changes: Iterable[Change]) -> None:
        """Takes what a beat brought. Raises KeyError for a name there is none of."""
        sums, gauges = self._stats.sums(), self._stats.gauges()
        for change in changes:
            metric = sums[change.metric]
            bound = metric.labels(**change.labels) if change.labels else metric
            bound.inc(change.amount)
            if change.metric in gauges:
                key = (change.metric, tuple(change.labels.items()))
                self._gauged[key] = self._gauged.get(key, 0.0) + change.amount

    def withdraw(self) -> None:
        """The worker is gone, and so is what it had open; counts stay."""
        gauges = self._stats.gauges()
        for (name, labels), amount in self._gauged.items():
            gauge = gauges[name]
            (gauge.labels(**dict(labels)) if labels else gauge).dec(amount)
        self._gauged.clear()
