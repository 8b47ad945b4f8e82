"""A file to a checked Config, or to every fault it has, each with its mend."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.config.fields import UNSAID
from sidecar.config.lines import Document, Location, read
from sidecar.config.schema import Config
from sidecar.errors import ConfigError
from sidecar.log import redact_text

_SHOWN_CHARS: Final = 60
_REPLAYED: Final = (
    *("policies", "sampling", "groups", "budget"),
    *("model", "models", "models_dir"),
)


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Reads and checks a whole configuration file.

    Args:
        path: YAML; relative paths inside are beside it.
        environ: Where `{env: NAME}` looks; default the process environment.

    Raises:
        ConfigError: With one fault a line: file, line, key, value and the mend.
    """
    document = read(path)
    if not isinstance(document.value, dict):
        raise ConfigError(
            f"{path}: expected keys such as 'mqtt:' and 'policies:' at the top level"
        )
    value, policies = _policies_of(document)
    context = {
        "base": path.parent,
        "environ": os.environ if environ is None else environ,  # noqa: TID251 here only
    }
    try:
        return Config.model_validate(value, context=context)
    except ValidationError as exc:
        raise ConfigError(
            *(_fault(document, policies, error) for error in exc.errors())
        ) from None


def load_policies(path: Path) -> Config:
    """What replay needs of a configuration: policies, sampling, groups, the model.

    A file that is a list of policies will do. Other keys are not looked at, so neither
    a secret nor a certificate has to be at hand.

    Raises:
        ConfigError: As `load`.
    """
    document = read(path)
    value: dict[str, Any] = {"mqtt": {"host": "none"}, "outbox": {"path": "none"}}
    policies: Document | None = None
    if isinstance(document.value, list):
        policies, value["policies"] = document, document.value
    elif isinstance(document.value, dict):
        whole, policies = _policies_of(document)
        value |= {key: whole[key] for key in _REPLAYED if key in whole}
    else:
        raise ConfigError(f"{path}: expected a list of policies, or a configuration")
    try:
        return Config.model_validate(value, context={"base": path.parent})
    except ValidationError as exc:
        raise ConfigError(
            *(_fault(document, policies, error) for error in exc.errors())
        ) from None


def _policies_of(document: Document) -> tuple[dict[str, Any], Document | None]:
    """`policies: FILE` is replaced by the list that stands in FILE."""
    value = dict(document.value)
    named = value.get("policies")
    if not isinstance(named, str):
        return value, None
    policies = read(document.path.parent / named)
    value["policies"] = policies.value
    return value, policies


def _fault(document: Document, policies: Document | None, error: ErrorDetails) -> str:
    at: Location = error["loc"]
    source, inner = document, at
    if policies is not None and at[:1] == ("policies",):
        source, inner = policies, at[1:]
    key = ".".join(str(part) for part in at) or "(top level)"
    line = source.line_of(inner)
    return f"{source.path}:{line}: {key}: {_sentence(error)}"


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"])
    if kind == "missing":
        return "is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    if kind == UNSAID or (kind == "value_error" and not _is_plain(error["input"])):
        return message
    return f"{_shown(error['input'])} is not accepted: {message}"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _shown(value: object) -> str:
    if not _is_plain(value) and value is not None:
        return f"a {type(value).__name__}"
    text = redact_text(repr(value))
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _unknown_key(at: Location) -> str:
    accepted = _accepted_keys(at[:-1])
    near = difflib.get_close_matches(str(at[-1]), accepted, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(accepted)
    return f"unknown key; {hint}accepted here: {listed}" if listed else "unknown key"


def _accepted_keys(at: Location) -> list[str]:
    """The keys of the section at `at`, found by walking the model's fields."""
    model: type[BaseModel] | None = Config
    for part in at:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        model = None if field is None else _section_in(field.annotation)
    return [] if model is None else sorted(model.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 any type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_in(inner)
        if found is not None:
            return found
    return None


def files_of(path: Path) -> tuple[Path, ...]:
    """The file itself and, if it names one, the file its policies stand in."""
    try:
        named = read(path).value.get("policies")
    except (ConfigError, AttributeError):
        return (path,)
    return (path, path.parent / named) if isinstance(named, str) else (path,)
