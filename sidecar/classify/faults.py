"""What pydantic found, as sentences: file, dotted key, value, mend."""

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

MAX_FAULTS: Final = 50  # of one file; the rest is told as a number

_short: Final = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def describe(path: Path, model: type[BaseModel], exc: ValidationError) -> list[str]:
    """One sentence per fault in the file at `path`, read as `model`."""
    errors = exc.errors(include_url=False, include_context=False)
    told = [_sentence(path, model, error) for error in errors[:MAX_FAULTS]]
    if left := len(errors) - len(told):
        told.append(f"{path}: and {left} more faults; mend the first ones")
    return told


def _sentence(path: Path, model: type[BaseModel], error: ErrorDetails) -> str:
    """File, key, value, mend."""
    key = ".".join(_keys(error["loc"]))
    if error["type"] == "missing":
        return f"{path}: {key}: is missing; add it"
    value = _short.repr(error["input"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(model, error["loc"][:-1]))
        return f"{path}: {key}: {value}: unknown key; remove it, or use one of {known}"
    what = error["msg"].removeprefix("Value error, ")
    what = re.sub(r"^(Input|String|Value) should", "should", what)
    if error["type"] == "string_type" and not isinstance(error["input"], (dict, list)):
        what += "; put it in quotes"
    return f"{path}: {key}: {value}: {what}"


def _keys(loc: tuple[int | str, ...]) -> Iterator[str]:
    """The parts of a dotted key, of bounded length: they come from the file."""
    for part in loc:
        yield str(part) if len(str(part)) <= 60 else f"{str(part)[:57]}..."  # noqa: PLR2004


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys accepted at `loc` inside `model`."""
    for part in loc:
        if isinstance(part, str):
            model = _part_of(model, part)
    return [field.alias or name for name, field in model.model_fields.items()]


def _part_of(model: type[BaseModel], key: str) -> type[BaseModel]:
    """The model of a nested key, or of the items of a nested list."""
    annotation = model.model_fields[key].annotation
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    nested = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
    return nested[0] if nested else model
