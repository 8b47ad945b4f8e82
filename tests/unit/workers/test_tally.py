"""A worker's numbers end up in the sidecar's, once."""

import re
from pathlib import Path

import pytest
from prometheus_client import Histogram

import sidecar
from sidecar.stats import Stats
from sidecar.workers.messages import Change
from sidecar.workers.tally import Share, Tally


def value(stats: Stats, name: str, **labels: str) -> float:
    """A number as it is exposed."""
    return stats.registry.get_sample_value(name, labels) or 0.0


def test_only_what_is_new_is_told() -> None:
    """Each increment once; nothing where nothing happened."""
    stats = Stats()
    tally = Tally(stats)
    assert tally.changes() == ()
    stats.keyframe_requests.inc()
    stats.lost.labels("sample", "slots").inc(2)
    stats.decoding_streams.labels("all").inc()
    assert set(map(str, tally.changes())) == {
        str(Change("keyframe_requests", {}, 1.0)),
        str(Change("lost", {"stage": "sample", "reason": "slots"}, 2.0)),
        str(Change("decoding_streams", {"decode": "all"}, 1.0)),
    }
    assert tally.changes() == ()
    stats.decoding_streams.labels("all").dec()
    assert tally.changes() == (Change("decoding_streams", {"decode": "all"}, -1.0),)


def test_shares_add_up_and_open_things_end_with_the_worker() -> None:
    """Counts of a worker that is gone stay; what it had open does not."""
    stats = Stats()
    first, second = Share(stats), Share(stats)
    for share in (first, second):
        share.add(
            [
                Change("keyframe_requests", {}, 2.0),
                Change("decoding_streams", {"decode": "all"}, 3.0),
            ]
        )
    first.withdraw()
    first.withdraw()
    assert value(stats, "sidecar_keyframe_requests_total") == 4.0
    assert value(stats, "sidecar_decoding_streams", decode="all") == 3.0


def test_all_that_a_worker_counts_can_be_added() -> None:
    """A histogram would be lost; the legs alone are observed where samples arrive."""
    histograms = {k for k, v in vars(Stats()).items() if isinstance(v, Histogram)}
    package = Path(sidecar.__file__).parent
    used = {
        name
        for stage in ("ingest", "sample")
        for path in (package / stage).glob("*.py")
        for name in re.findall(r"stats\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert used & histograms == {"leg_seconds"}
    assert used & set(Stats().sums())


@pytest.mark.parametrize(
    "change",
    [
        Change("leg_seconds", {"leg": "decode"}, 1.0),
        Change("registry", {}, 1.0),
        Change("lost", {"no": "label"}, 1.0),
        Change("keyframe_requests", {}, -1.0),
    ],
)
def test_a_number_that_there_is_none_of_is_refused(change: Change) -> None:
    """Whoever says that is no worker of this release."""
    with pytest.raises((KeyError, ValueError)):
        Share(Stats()).add([change])
