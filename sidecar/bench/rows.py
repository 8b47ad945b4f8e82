"""Rounds made into rows, rows into ratios; pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

OURS: Final = "sidecar-keyframes"
RATIOS: Final = (  # key, whose cost, how often it goes into that of whom
    ("ratio_vs_obvious", OURS, "obvious"),
    ("ratio_vs_gstreamer_keyframes", OURS, "gstreamer-keyframes"),
    ("ratio_pli_vs_obvious", "sidecar-keyframes-1s-pli", "obvious"),
    ("ratio_all_vs_gstreamer_all", "sidecar-all", "gstreamer-all"),
)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of one receiver gave; also the row of several.

    Attributes:
        receiver: Its name.
        codec: vp8 or h264; as sent by the server: any.
        streams: How many at once.
        seconds: How long was measured.
        cpu_percent_per_stream: Of one core.
        samples_due: By its rate, in all streams together.
        samples_taken: Of these.
        rss_mb_per_stream: What each stream but the first added; None with one stream.
        loop_lag_ms: The worst; None where there is no event loop of Python.
        frames_sent_percent: Of those that the sender should have sent: below 98 the
            sender was the bottleneck. None where the sender is not ours.
        plis: Requests for a keyframe that the sender got.
        nacks: Requests for lost packets that it got.
    """

    receiver: str
    codec: str
    streams: int
    seconds: float
    cpu_percent_per_stream: float
    samples_due: int
    samples_taken: int
    rss_mb_per_stream: float | None
    loop_lag_ms: float | None
    frames_sent_percent: float | None = None
    plis: int = 0
    nacks: int = 0


def summary(rounds: Sequence[Round]) -> list[Round]:
    """One row for each receiver, codec and number of streams, in order of appearance.

    Medians, but for what is counted (added up) and for the loop's lag (the worst).
    """
    groups: dict[tuple[str, str, int], list[Round]] = {}
    for one in rounds:
        place = one.codec, one.receiver, one.streams
        groups.setdefault(place, []).append(one)
    return [_row(group) for group in groups.values()]


def _row(group: Sequence[Round]) -> Round:
    costs = [r.cpu_percent_per_stream for r in group]
    lags = [r.loop_lag_ms for r in group if r.loop_lag_ms is not None]
    return Round(
        receiver=group[0].receiver,
        codec=group[0].codec,
        streams=group[0].streams,
        seconds=round(sum(r.seconds for r in group), 1),
        cpu_percent_per_stream=round(median(costs), 3),
        samples_due=sum(r.samples_due for r in group),
        samples_taken=sum(r.samples_taken for r in group),
        rss_mb_per_stream=_median([r.rss_mb_per_stream for r in group], 2),
        loop_lag_ms=round(max(lags), 1) if lags else None,
        frames_sent_percent=_median([r.frames_sent_percent for r in group], 1),
        plis=sum(r.plis for r in group),
        nacks=sum(r.nacks for r in group),
    )


def _median(values: Sequence[float | None], digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), digits) if known else None


def ratio(rows: Sequence[Round], other: str, ours: str = OURS) -> float | None:
    """How many times cheaper `ours` is than `other`: of the codecs the worst.

    Each by its row with the most streams. None if either was not measured.
    """
    by_streams = sorted(rows, key=lambda row: row.streams)
    cost = {(row.codec, row.receiver): row.cpu_percent_per_stream for row in by_streams}
    ratios = [
        cost[codec, other] / own
        for (codec, receiver), own in cost.items()
        if receiver == ours and own > 0 and (codec, other) in cost
    ]
    return round(min(ratios), 1) if ratios else None


def report(rows: Sequence[Round]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "rows": [asdict(row) for row in rows],
        **{key: ratio(rows, other, ours) for key, ours, other in RATIOS},
    }
