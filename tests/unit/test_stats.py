"""What must hold of the numbers, and of the table that explains them."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from sidecar.stats import LEGS, Stats

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
UNBOUNDED = {"stream", "stream_id", "id", "url", "host", "publisher", "topic", "path"}


def _metrics() -> list[MetricWrapperBase]:
    found = [m for m in vars(Stats()).values() if isinstance(m, MetricWrapperBase)]
    assert found
    return found


def _name(metric: MetricWrapperBase) -> str:
    """As scraped: counters end in `_total`."""
    (family,) = metric.describe()
    return f"{family.name}_total" if family.type == "counter" else family.name


def table_rows() -> list[str]:
    """The rows docs/operating.md must have, made of the code."""
    rows = []
    for metric in _metrics():
        (family,) = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "none"
        text = family.documentation
        rows.append(f"| `{_name(metric)}` | {family.type} | {labels} | {text} |")
    return rows


def test_the_operators_table_is_the_code() -> None:
    """Each metric stands in docs/operating.md, with type, labels and meaning."""
    documented = [
        line
        for line in OPERATING.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `sidecar_")
    ]
    assert sorted(documented) == sorted(table_rows())


def test_names_say_what_and_in_which_unit() -> None:
    """All begin alike; what measures time ends in seconds."""
    for metric in _metrics():
        name = _name(metric)
        assert re.fullmatch(r"sidecar_[a-z_]+", name)
        if re.search(r"_(leg|age|oldest|coverage)", name):
            assert "seconds" in name


def test_no_label_grows_without_bound() -> None:
    """A stream id as a label would fill Prometheus: none is used."""
    for metric in _metrics():
        assert not UNBOUNDED & set(metric._labelnames)


def test_each_sidecar_counts_for_itself() -> None:
    """Two in one process (as in tests) share nothing."""
    one, other = Stats(), Stats()
    one.engine_errors.inc()
    assert b"sidecar_engine_errors_total 1.0" in one.render()
    assert b"sidecar_engine_errors_total 0.0" in other.render()


@pytest.mark.parametrize("leg", LEGS)
def test_legs_from_a_millisecond_to_minutes_can_be_told_apart(leg: str) -> None:
    """A leg's histogram has buckets on both sides of any plausible duration."""
    stats = Stats()
    for seconds in (0.0007, 0.03, 0.7, 100.0):
        stats.leg_seconds.labels(leg).observe(seconds)
    families = text_string_to_metric_families(stats.render().decode())
    counts = [
        sample.value
        for family in families
        if family.name == "sidecar_leg_seconds"
        for sample in family.samples
        if sample.name.endswith("_bucket")
    ]
    assert len(set(counts)) == 5
    assert counts[-1] == 4
