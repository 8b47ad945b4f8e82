"""Actions that appear, vanish and move, each counted once."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import ActionKind, Category
from sidecar.recording.diff import difference
from sidecar.recording.whatif import Fired

X, V = Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC
CUT, FLAG = ActionKind.TAKEDOWN, ActionKind.FLAG


def _fired(
    at: float,
    stream: str = "a",
    kind: ActionKind = CUT,
    category: Category | None = X,
) -> Fired:
    return Fired(stream, at, kind, "r", "p", category)


_some = st.lists(
    st.builds(
        _fired,
        st.sampled_from([0.0, 1.0, 50.0, 100.0, 170.0]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([CUT, FLAG]),
        st.sampled_from([X, V, None]),
    )
)


def test_each_kind_of_change_is_told() -> None:
    """An action that both ask for within a minute has moved, else there are two."""
    old = [_fired(10.0), _fired(200.0), _fired(0.0, "b"), _fired(5.0, "c")]
    new = [_fired(12.5), _fired(300.0), _fired(0.0, "b", category=V), _fired(5.0, "c")]
    found = difference(old, new)
    assert [(m.old.stream, m.by_s) for m in found.moved] == [("a", 2.5)]
    assert [(f.stream, f.at) for f in found.removed] == [("a", 200.0), ("b", 0.0)]
    assert [(f.stream, f.at) for f in found.added] == [("a", 300.0), ("b", 0.0)]
    assert found.same == 1


def test_only_the_kinds_asked_for_are_compared() -> None:
    """What cuts a stream's video, unless said otherwise."""
    old, new = [_fired(1.0, kind=FLAG)], [_fired(1.0, category=None)]
    assert difference(old, []).removed == []
    assert len(difference(old, [], kinds=[FLAG]).removed) == 1
    assert difference([], new).added == new


@given(_some, _some)
def test_every_action_is_accounted_for(old: list[Fired], new: list[Fired]) -> None:
    """Once on its side, whatever it is paired with; nothing changes nothing."""
    found = difference(old, new)
    paired = len(found.moved) + found.same
    assert len(found.removed) + paired == sum(f.action is CUT for f in old)
    assert len(found.added) + paired == sum(f.action is CUT for f in new)
    itself = difference(old, list(reversed(old)))
    assert (itself.added, itself.removed, itself.moved) == ([], [], [])


@given(_some, _some)
def test_there_and_back_is_the_same_with_signs_changed(
    old: list[Fired], new: list[Fired]
) -> None:
    """What one adds the other removes, and what comes later comes earlier."""
    there, back = difference(old, new), difference(new, old)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert [m.by_s for m in there.moved] == [-m.by_s for m in back.moved]
