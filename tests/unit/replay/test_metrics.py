"""Streams found, missed and taken down falsely; how soon; and what CI asks for."""

from xml.etree import ElementTree as ET

import pytest

from sidecar.domain import ActionKind, Category
from sidecar.errors import ConfigError
from sidecar.recording.column_log import columns_of
from sidecar.recording.whatif import Fired
from sidecar.replay.demands import judge, parse_demands
from sidecar.replay.junit import junit
from sidecar.replay.labels import Label
from sidecar.replay.metrics import Figures, figures, figures_json
from tests.unit.recording.test_whatif import A, B, sample

X, V = Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC
WATCHED = {"a": 3600.0, "b": 3600.0, "c": 7200.0, "d": 3600.0}
LABELS = [
    Label("a", 100, 160, X),
    Label("b", 10, 20, V),
    Label("d", 5, 50, X),
    Label("elsewhere", 0, 1, X),
]
COLUMNS = columns_of(
    [sample(A, at, {X: 0.5}, late=0.0) for at in (90.0, 102.0, 104.0, 106.0)]
    + [sample(B, 12.0, {V: 0.5}, late=0.0)]
)


def _fired(
    stream: str,
    at: float,
    category: Category | None,
    action: ActionKind = ActionKind.TAKEDOWN,
) -> Fired:
    return Fired(stream, at + 0.5, action, "r", "p", category, 0.9, captured_at=at)


FIRED = [
    _fired("a", 99.0, X, ActionKind.FLAG),  # not a takedown
    _fired("a", 106.0, X),  # true, the first
    _fired("a", 120.0, X),  # true
    _fired("b", 15.0, X),  # false: another category was there
    _fired("c", 15.0, V),  # false: nothing was there
    _fired("c", 99.0, V),  # false, in the same stream
    _fired("d", 60.0, X),  # true: within the grace after the end
    _fired("b", 99.0, None),  # for not having been seen: neither
]


def _figures() -> Figures:
    legs = {"receive": 0.1, "decode": 0.2, "queue": 0.0, "inference": 0.3}
    return figures(WATCHED, FIRED, LABELS, COLUMNS, lambda _: legs)


def test_the_stream_is_the_unit() -> None:
    """Two of three labelled streams were found; one harmless one was taken down."""
    found = _figures()
    assert found.recall.value == pytest.approx(2 / 3)
    assert found.stream_fpr.value == 1.0
    assert found.hours == 5.0
    assert found.false_per_1000h.value == pytest.approx(600)
    assert found.false_per_1000h.low < 600 < found.false_per_1000h.high
    assert [(one.stream, one.at) for one in found.false] == [
        ("b", 15.5),
        ("c", 15.5),
        ("c", 99.5),
    ]
    missed = [d.episode.stream for d in found.detections if d.action is None]
    assert missed == ["b"]


def test_how_soon_is_told_by_leg() -> None:
    """Until the first sample, until there was evidence enough, and what it took."""
    found = _figures()
    assert sorted(found.times()) == [6.5, 55.5]
    assert found.times("sampling") == [2.0, 55.0]
    assert found.times("evidence") == [4.0, 0.0]
    assert found.times("inference") == [0.3, 0.3]


def test_categories_and_confusion_are_by_stream() -> None:
    """What was there, and what it was taken for."""
    found = _figures()
    by = {c: (f.found, f.missed, f.false) for c, f in found.by_category.items()}
    assert by == {X: (2, 0, 1), V: (0, 1, 1)}
    assert found.confusion == {
        ("none", V): 1,
        (X, X): 2,
        (V, X): 1,
    }


def test_precision_depends_on_how_common_it_is() -> None:
    """At a prevalence of a half, of a share and of nothing to estimate from."""
    found = _figures()
    assert found.precision(0.5) == pytest.approx((2 / 3) / (2 / 3 + 1))
    nothing = figures({}, [], [], COLUMNS)
    assert nothing.precision(0.5) is None
    clean = figures({"a": 1.0, "b": 1.0}, [], [Label("a", 0, 1, X)], COLUMNS)
    assert clean.precision(0.5) is None


def test_machines_are_told_everything() -> None:
    """Each figure with its interval, and each miss."""
    said = figures_json(_figures())
    assert said["recall"]["value"] == 0.666667
    assert said["time_to_detect_s"] == {"p50": 6.5, "p90": 55.5, "p99": 55.5}
    assert said["legs_s"]["decode"]["p50"] == 0.2
    assert said["missed"] == [
        {"stream": "b", "start": 10, "end": 20, "category": "violence.graphic"}
    ]
    assert [one["stream"] for one in said["false"]] == ["b", "c", "c"]
    assert figures_json(figures({}, [], [], COLUMNS))["recall"]["high"] == 1.0


def test_demands_are_judged_by_the_figure() -> None:
    """More is better of recall, less of everything else; nothing measured: not met."""
    text = "recall=0.5, false_takedowns_per_1000h=1,time_to_detect_p50_s=7"
    wanted = parse_demands(text + ",stream_false_positive_rate=1")
    met = {one.name: one.met for one in judge(_figures(), wanted)}
    assert met == {
        "recall": True,
        "false_takedowns_per_1000h": False,
        "time_to_detect_p50_s": True,
        "stream_false_positive_rate": True,
    }
    (unmeasured,) = judge(figures({}, [], [], COLUMNS), {"recall": 0.0})
    assert (unmeasured.found, unmeasured.met) == (None, False)


@pytest.mark.parametrize("text", ["", "f1=3", "recall", "recall=much", "recall=-1"])
def test_demands_that_are_none_are_refused(text: str) -> None:
    """With what would be accepted."""
    with pytest.raises(ConfigError, match="--fail-under"):
        parse_demands(text)


def test_junit_has_a_case_for_each_demand_label_and_false_takedown() -> None:
    """Failures are counted, as CI systems want it."""
    found = _figures()
    verdicts = judge(found, parse_demands("recall=0.9,time_to_detect_p50_s=7"))
    root = ET.fromstring(junit(found, verdicts))  # noqa: S314 - our own
    suite = root.find("testsuite")
    assert suite is not None
    failed = [c.get("name") for c in suite if c.find("failure") is not None]
    assert (suite.get("tests"), suite.get("failures")) == ("8", "5")
    assert failed[:2] == ["recall", "b violence.graphic 10-20 s"]
