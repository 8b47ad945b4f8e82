"""Ended streams are remembered, but not for ever and not all."""

from sidecar.app import gone
from sidecar.app.gone import Gone
from sidecar.domain import SourceKind, Stream
from tests.unit.app.test_pipeline import Bench


def test_only_so_many_are_remembered() -> None:
    """The one that ended first gives way."""
    remembered = Gone()
    watch = Bench().watch
    watch.cut = True
    for number in range(gone._MOST + 1):
        watch.stream = Stream(str(number), SourceKind.WHIP)
        remembered.add(watch, float(number))
    assert remembered.cut("0") is None
    assert remembered.cut("1") is not None


def test_a_cut_stays_until_it_is_cleared() -> None:
    """Coming back clean and leaving again does not make a takedown unreversible."""
    remembered = Gone()
    watch = Bench().watch
    watch.cut = True
    remembered.add(watch, 0.0)
    watch.cut = False
    remembered.add(watch, 1.0)
    assert remembered.cut(watch.stream.id) is not None
    remembered.cleared(watch.stream.id)
    assert remembered.before(watch.stream.id, 1.0) is None
