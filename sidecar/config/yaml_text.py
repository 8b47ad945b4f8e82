"""A YAML text with other values: what stays keeps its place, its form and its comments.

ruamel.yaml reads comments; PyYAML, which reads everything else here, does not.
"""

from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

_WIDTH: Final = 4096  # columns; no line is broken that was none


def rewritten(text: str, whole: list[Any], sparse: list[Any]) -> str:
    """`text` with the values of `whole`, as plain YAML.

    Args:
        text: What it was, a list.
        whole: What it is to say, with every key.
        sparse: The same without the keys that have their default value: those are
            added only where the text has them already.

    Raises:
        ValueError: `text` is no YAML.
        TypeError: It is no list.
    """
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    try:
        document: Any = yaml.load(text)
    except YAMLError as exc:
        raise ValueError(str(exc)) from exc
    if not isinstance(document, CommentedSeq):
        raise TypeError("it is no list")
    _list(document, whole, sparse)
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _value(old: Any, whole: Any, sparse: Any) -> Any:  # noqa: ANN401 (YAML)
    """`whole`, in the place and form of `old` where both are of one kind."""
    if isinstance(old, CommentedMap) and isinstance(whole, dict):
        _mapping(old, whole, sparse or {})
        return old
    if isinstance(old, CommentedSeq) and isinstance(whole, list):
        _list(old, whole, sparse or [])
        return old
    return old if old == whole else whole


def _mapping(old: CommentedMap, whole: dict[str, Any], sparse: dict[str, Any]) -> None:
    for key in list(old):
        if key in whole:
            old[key] = _value(old[key], whole[key], sparse.get(key))
        else:
            del old[key]
    for key, value in sparse.items():
        if key not in old:
            old[key] = value


def _list(old: CommentedSeq, whole: list[Any], sparse: list[Any]) -> None:
    """One after the other; of things with a name each finds its own."""
    sparse = [*sparse, *whole[len(sparse) :]]
    if [_name(one) for one in old] == [_name(one) for one in whole]:
        for place, (one, few) in enumerate(zip(whole, sparse, strict=True)):
            old[place] = _value(old[place], one, few)
        return
    known = {_name(one): one for one in old if _name(one)}
    fresh = []
    for one, few in zip(whole, sparse, strict=True):
        found = known.pop(_name(one), None)
        fresh.append(few if found is None else _value(found, one, few))
    old[:] = fresh


def _name(one: Any) -> str | None:  # noqa: ANN401 (YAML)
    name = one.get("name") if isinstance(one, dict) else None
    return name if isinstance(name, str) else None
