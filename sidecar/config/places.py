"""Where the user's own files lie, by the XDG Base Directory Specification."""

import os
from collections.abc import Mapping
from pathlib import Path


def user_models(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the models that this user imported; it may not be there yet."""
    found = os.environ if environ is None else environ  # noqa: TID251 as in loader
    data = Path(found.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the specification: ignore what is relative
        data = Path(found.get("HOME") or "/") / ".local" / "share"
    return data / "sidecar" / "models"
