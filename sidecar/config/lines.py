"""YAML with the line of each key, strict about what YAML lets pass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sidecar.errors import ConfigError

_MAX_BYTES: Final = 4 * 1024 * 1024
Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its plain value, and the line (from 1) of each location."""

    path: Path
    value: Any
    lines: dict[Location, int]

    def line_of(self, location: Location) -> int:
        """The line of `location` or of its nearest ancestor."""
        for end in range(len(location), -1, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1


class _Loader(yaml.SafeLoader):
    """Safe, and without anchors, which hide what a line says."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 PyYAML's own
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            line = mark.line + 1 if mark else 1
            raise ValueError(f"line {line}: aliases (*name) are not accepted")
        return super().compose_node(parent, index)


def read(path: Path) -> Document:
    """Parses `path`.

    Raises:
        ConfigError: The file is missing, too large, not UTF-8, not YAML, or has a key
            twice in a mapping.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"{path}: cannot be read: {exc.strerror}; give the path of a YAML file"
        ) from exc
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_BYTES} bytes; split it")
    return parse(path, raw)


def parse(path: Path, raw: bytes) -> Document:
    """Parses `raw`, naming `path` in errors. Raises ConfigError as `read`."""
    lines: dict[Location, int] = {}
    loader: _Loader | None = None
    try:
        loader = _Loader(raw.decode())
        node = loader.get_single_node()
        if node is not None:
            _walk(path, node, (), lines)
        value = None if node is None else loader.construct_document(node)
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 text (byte {exc.start})") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(_yaml_fault(path, exc)) from exc
    except (ValueError, OverflowError, RecursionError) as exc:
        raise ConfigError(f"{path}: not understood as YAML: {exc}") from exc
    finally:
        if loader is not None:
            loader.dispose()
    return Document(path, value, lines)


def _yaml_fault(path: Path, exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else f"{path}"
    problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    return f"{where}: not valid YAML: {problem}; check indentation and quotes"


def _walk(
    path: Path, node: yaml.Node, at: Location, lines: dict[Location, int]
) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(path, child, (*at, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            if (*at, name) in lines:
                raise ConfigError(
                    f"{path}:{line}: key {name!r} stands here twice (first on line "
                    f"{lines[(*at, name)]}); remove one"
                )
            lines[(*at, name)] = line
            _walk(path, child, (*at, name), lines)
