"""Rounds become rows by medians, rows become ratios; by numbers alone."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sidecar.bench.rows import Round, ratio, report, summary

ROUND = Round(
    receiver="sidecar-keyframes",
    codec="vp8",
    streams=10,
    seconds=6.0,
    cpu_percent_per_stream=0.3,
    samples_due=30,
    samples_taken=29,
    rss_mb_per_stream=1.5,
    loop_lag_ms=2.0,
    frames_sent_percent=100.0,
    plis=1,
    nacks=2,
)


def _costing(receiver: str, percent: float, codec: str = "vp8") -> Round:
    return replace(
        ROUND, receiver=receiver, codec=codec, cpu_percent_per_stream=percent
    )


def test_of_several_rounds_the_median_counts() -> None:
    """One round in which the machine was busy moves no cost; counts add up."""
    rounds = [
        replace(ROUND, cpu_percent_per_stream=0.3, loop_lag_ms=2.0),
        replace(ROUND, cpu_percent_per_stream=9.0, loop_lag_ms=80.0),
        replace(ROUND, cpu_percent_per_stream=0.4, loop_lag_ms=1.0),
    ]
    [row] = summary(rounds)
    assert row.cpu_percent_per_stream == 0.4
    assert row.loop_lag_ms == 80.0
    assert (row.samples_due, row.samples_taken) == (90, 87)
    assert (row.seconds, row.plis, row.nacks) == (18.0, 3, 6)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
def test_a_median_lies_among_the_rounds(costs: list[float]) -> None:
    """A row's cost is no less than the least and no more than the most."""
    [row] = summary([_costing("obvious", cost) for cost in costs])
    assert min(costs) - 0.001 <= row.cpu_percent_per_stream <= max(costs) + 0.001


def test_codecs_and_receivers_have_rows_of_their_own() -> None:
    """Nothing is mixed; the order is the one of appearance."""
    rounds = [
        _costing(receiver, 1.0, codec)
        for codec in ("vp8", "h264")
        for receiver in ("obvious", "sidecar-all")
    ]
    assert [(row.codec, row.receiver) for row in summary([*rounds, *rounds])] == [
        ("vp8", "obvious"),
        ("vp8", "sidecar-all"),
        ("h264", "obvious"),
        ("h264", "sidecar-all"),
    ]


def test_what_was_not_measured_stays_unknown() -> None:
    """One stream has no further one; GStreamer has no event loop of Python."""
    [row] = summary([replace(ROUND, rss_mb_per_stream=None, loop_lag_ms=None)])
    assert row.rss_mb_per_stream is None
    assert row.loop_lag_ms is None


def test_the_ratio_is_the_one_of_the_worse_codec() -> None:
    """A promise must hold for both."""
    rows = [
        _costing("sidecar-keyframes", 0.25),
        _costing("obvious", 10.0),
        _costing("sidecar-keyframes", 0.5, "h264"),
        _costing("obvious", 10.0, "h264"),
    ]
    assert ratio(rows, "obvious") == 20.0


def test_each_number_of_streams_has_a_row_and_the_most_count() -> None:
    """What the process itself costs is shared by as many as were measured."""
    rounds = [
        replace(_costing(receiver, cost), streams=streams)
        for receiver, streams, cost in (
            ("sidecar-keyframes", 20, 0.2),
            ("sidecar-keyframes", 1, 0.9),
            ("obvious", 1, 9.0),
            ("obvious", 4, 8.0),
        )
    ]
    assert len(summary(rounds)) == 4
    assert ratio(summary(rounds), "obvious") == 40.0


def test_there_is_no_ratio_without_both() -> None:
    """Without GStreamer there is nothing to be cheaper than; nor free of cost."""
    assert ratio([ROUND], "gstreamer-keyframes") is None
    assert ratio([_costing("obvious", 10.0)], "obvious") is None
    rows = [_costing("sidecar-keyframes", 0.0), _costing("obvious", 10.0)]
    assert ratio(rows, "obvious") is None


def test_the_report_is_json_with_rows_and_ratios() -> None:
    """One for each promise, and in each row what is asked for."""
    rows = [
        ROUND,
        _costing("obvious", 9.0),
        _costing("sidecar-keyframes-1s-pli", 0.6),
        _costing("sidecar-all", 4.0),
        _costing("gstreamer-all", 6.0),
    ]
    said = json.loads(json.dumps(report(rows)))
    assert {key: said[key] for key in said if key != "rows"} == {
        "ratio_vs_obvious": 30.0,
        "ratio_vs_gstreamer_keyframes": None,
        "ratio_pli_vs_obvious": 15.0,
        "ratio_all_vs_gstreamer_all": 1.5,
    }
    asked = {
        *("receiver", "codec", "streams", "cpu_percent_per_stream"),
        *("samples_due", "samples_taken", "rss_mb_per_stream", "loop_lag_ms"),
    }
    assert all(asked <= set(row) for row in said["rows"])
