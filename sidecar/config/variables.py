"""Environment variables that commands take in place of an argument."""

import os
from collections.abc import Mapping


def variable(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """What `name` is set to; None if it is not, or to nothing but blanks."""
    found = os.environ if environ is None else environ  # noqa: TID251 as in loader
    return found.get(name, "").strip() or None
