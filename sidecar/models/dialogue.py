"""Settles what a manifest leaves out or has wrong, with the person or without."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sidecar.errors import ManifestError
from sidecar.models import preprocessor
from sidecar.models.hints import compare, mended
from sidecar.models.source import Source, detector_of

Ask = Callable[[str], bool]
Tell = Callable[[str], None]

_ARITHMETIC: Final = ("scale", "mean", "std")


def settle(
    source: Source, config: Path | None, ask: Ask | None, tell: Tell
) -> dict[str, Any]:
    """The manifest, completed by the graph and the preprocessor's file.

    What is missing and plain from the graph is filled in and told. What differs is
    asked, one by one, if somebody is there to `ask`.

    Raises:
        ManifestError: What is left: each key with what is said, found, and the mend.
    """
    card = dict(source.card)
    if config is not None:
        card = preprocessor.merged(card, preprocessor.read(config))
    faults: list[str] = []
    for hint in compare(card, source.model, detector_of(source, card)):
        if hint.missing:
            tell(f"{hint.key}: {hint.value!r}, as {hint.about}")
            card = mended(card, hint)
        elif hint.value is not None and ask is not None and ask(f"{hint}. Take it?"):
            card = mended(card, hint)
        else:
            faults.append(f"{source.path}: {hint}")
    faults += [f"{source.manifest}: {fault}" for fault in _unsaid(card)]
    if faults:
        raise ManifestError(*faults)
    return card


def _unsaid(card: Mapping[str, Any]) -> list[str]:
    """Floats of which range is not for us to guess."""
    spec = card.get("input")
    if not isinstance(spec, Mapping) or spec.get("dtype") != "float32":
        return []
    if any(key in spec for key in _ARITHMETIC):
        return []
    told = (
        "input.scale: is missing; say 0.00392156862745098 (1/255) for a net that takes"
        " 0…1, 1.0 for 0…255, with mean and std if it wants them; or give"
        " --preprocessor"
    )
    return [told]
