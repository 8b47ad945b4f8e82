"""Reads `model.yaml` as untrusted text: bounded, flat, no aliases, no key twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from sidecar.errors import ManifestError

MAX_BYTES: Final = 64 * 1024  # a long card has 4 KiB

_MAX_DEPTH: Final = 10  # a card has 4
_NO_ALIASES: Final = "aliases (*name) are not accepted; write the value out"

# What SafeLoader lets through on hostile text besides its own errors: bad dates and
# 5,000-digit numbers (ValueError), `!!int ""` (IndexError), `!!bool x` (KeyError),
# `!!timestamp x` (AttributeError).
_PARSE_ERRORS: Final = (
    *(yaml.YAMLError, ValueError, TypeError, ArithmeticError, LookupError),
    AttributeError,
)


class _CardLoader(yaml.SafeLoader):
    """SafeLoader without aliases (no "billion laughs") and without repeated keys."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in PyYAML, refusing `*alias` and `[[[[…`."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, _NO_ALIASES, mark)
        if self._depth >= _MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 (PyYAML's signature)
    ) -> dict[Hashable, Any]:
        """As in PyYAML, refusing a key that stands twice."""
        seen = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key_node.value!r} stands twice; keep one",
                    key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read(path: Path) -> dict[str, Any]:
    """The mapping in `path`.

    Raises:
        ManifestError: Missing, larger than `MAX_BYTES`, or not a YAML mapping of
            string keys.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise ManifestError(
            f"{path}: cannot be read ({reason}); every model folder has a model.yaml"
        ) from exc
    return parse(path, data)


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """The mapping in `data`, which came from `path` (named in errors)."""
    if len(data) > MAX_BYTES:
        raise ManifestError(
            f"{path}: larger than {MAX_BYTES // 1024} KiB; a manifest is a short card"
        )
    try:
        raw = yaml.load(data, _CardLoader)  # noqa: S506 (a SafeLoader)
    except _PARSE_ERRORS as exc:
        raise ManifestError(f"{path}: {_where(exc)}; mend the YAML there") from exc
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise ManifestError(
            f"{path}: must be a mapping of keys such as 'name:' to values"
        )
    return raw


def _where(exc: BaseException) -> str:
    """What is wrong, and in which line if that is known."""
    if isinstance(exc, yaml.MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {exc.problem}"
    return f"not readable as YAML ({type(exc).__name__})"
