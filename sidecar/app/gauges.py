"""The gauges over all streams, filled anew at each tick."""

from collections.abc import Iterable

from sidecar.domain import StreamState, VerdictState
from sidecar.pipeline import Watch
from sidecar.stats import Stats


def show_streams(stats: Stats, watches: Iterable[Watch], now: float) -> None:
    """Counts the streams by state and by verdict; the longest unseen of them."""
    stats.streams.clear()
    stats.verdict_streams.clear()
    for state in StreamState:
        stats.streams.labels(state).set(0)
    for seen in (VerdictState.CLEAR, VerdictState.VIOLATING):
        stats.verdict_streams.labels(seen, "").set(0)
    oldest = 0.0
    for watch in watches:
        verdict = watch.verdict
        stats.streams.labels(watch.status.state).inc()
        stats.verdict_streams.labels(verdict.state, verdict.reason or "").inc()
        oldest = max(oldest, now - (verdict.seen_at or watch.began_at))
    stats.unseen_age_seconds.set(oldest)
