"""Whoever is woken by a log line finds it in docs/operating.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
LEVELS = {
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}


def _level(node: ast.expr) -> str | None:
    """The level of `log.warning` or the like, also as one branch of a choice."""
    if isinstance(node, ast.IfExp):
        return _level(node.body) or _level(node.orelse)
    if not isinstance(node, ast.Attribute) or node.attr not in LEVELS:
        return None
    owner = node.value.func if isinstance(node.value, ast.Call) else node.value
    is_log = isinstance(owner, ast.Name) and owner.id in {"log", "get_logger"}
    return LEVELS[node.attr] if is_log else None


def _events_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Event and level of each call that logs a warning or worse."""
    named = {
        target.id: level
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (level := _level(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        by_name = named.get(node.func.id) if isinstance(node.func, ast.Name) else None
        level = by_name or _level(node.func)
        if level is not None:
            yield from ((event, level) for event in _texts(node))


def _texts(call: ast.Call) -> list[str]:
    """What a call may log: a text, or a choice of texts."""
    event = call.args[0]
    choice = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
    texts = [one.value for one in choice if isinstance(one, ast.Constant)]
    assert len(texts) == len(choice), ast.unparse(call)
    return [str(text) for text in texts]


def _events() -> set[tuple[str, str]]:
    return {
        found
        for path in (ROOT / "sidecar").rglob("*.py")
        for found in _events_in(ast.parse(path.read_text(encoding="utf-8")))
    }


def _table() -> list[tuple[str, str]]:
    pattern = r"^\| `([a-z_]+)` \| (warning|error|critical) \|"
    return re.findall(pattern, OPERATING, re.MULTILINE)


def test_each_warning_stands_in_the_runbook() -> None:
    """Every event at `warning` and above, with its level, and none that is not said."""
    assert _table() == sorted(_events())


def test_the_reader_of_the_code_sees_every_way_of_logging() -> None:
    """A plain call, a choice of events or of levels, a logger made on the spot."""
    source = """
log.warning("a", x=1)
log.error("b" if x else "c")
level = log.info if x else log.warning
level("d")
get_logger(__name__).exception("e")
log.info("quiet")
other.error("foreign")
"""
    assert sorted(_events_in(ast.parse(source))) == [
        ("a", "warning"),
        ("b", "error"),
        ("c", "error"),
        ("d", "warning"),
        ("e", "error"),
    ]


def test_sections_that_are_pointed_to_exist() -> None:
    """The table sends nobody to a heading that is not there."""
    rows = re.findall(r"^\| `[a-z_]+` \| .*$", OPERATING, re.MULTILINE)
    wanted = {title for row in rows for title in re.findall(r'"([A-Z][^"]+)"', row)}
    headings = re.findall(r"^#+ (.+)$", OPERATING, re.MULTILINE)
    assert wanted
    assert wanted <= {re.sub(r" \(.*\)", "", heading) for heading in headings}
