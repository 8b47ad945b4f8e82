"""Puts a model through its paces before anybody relies on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.labels import Combine
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import ModelRef, Picture
from sidecar.errors import EngineError, ManifestError

_TOLERANCE: Final = 1e-3  # between batch sizes other kernels may be chosen
_BATCH: Final = 4
_SEED: Final = 20200305

_Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Check:
    """One question put to a model: its name, the answer, and what was seen."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """All questions put to `model`, in order; later ones are left out after a fault."""

    model: ModelRef
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every answer was good."""
        return all(check.ok for check in self.checks)


def verify(manifest: Manifest) -> VerifyReport:
    """Loads and runs the model on harmless synthetic pictures. Blocks for a second.

    It tells whether the file does what its manifest says, not how well it detects.
    """
    return VerifyReport(manifest.ref, tuple(_checks(manifest)))


def _checks(manifest: Manifest) -> Iterator[Check]:
    """Ends at the first fault after which the rest cannot be asked."""
    try:
        size = len(manifest.read_model())
        yield Check("hash", ok=True, detail=f"{manifest.ref.hash}, {size:,} bytes")
        session = OnnxSession(manifest, EngineSettings(max_batch_size=_BATCH))
    except ManifestError as exc:
        yield Check("graph", ok=False, detail="; ".join(exc.faults))
        return
    put_around = ", ".join(session.prepared.baked) or "nothing"
    yield Check("graph", ok=True, detail=f"loads; put around the net: {put_around}")
    spec = manifest.input
    shapes = f"uint8 (n, {spec.height}, {spec.width}, 3) to ({len(manifest.labels)})"
    yield Check("shapes", ok=True, detail=f"{shapes} labels a picture")
    pictures = _pictures(spec.height, spec.width)
    try:
        alone = {name: session.run([p])[0] for name, p in pictures.items()}
        yield Check("scores", ok=True, detail=f"in 0…1 on {', '.join(pictures)}")
        yield _batch_check(session, list(pictures.values()), list(alone.values()))
    except EngineError as exc:
        yield Check("scores", ok=False, detail=str(exc))
        return
    yield _sum_check(manifest, list(alone.values()))
    yield _colour_note(manifest, alone)


def _pictures(height: int, width: int) -> dict[str, Picture]:
    """Noise and plain colours."""

    def plain(*rgb: int) -> Picture:
        return np.full((height, width, 3), rgb, np.uint8)

    noise = np.random.default_rng(_SEED).integers(0, 256, (height, width, 3))
    return {
        "noise": noise.astype(np.uint8),
        "black": plain(0, 0, 0),
        "white": plain(255, 255, 255),
        "red": plain(255, 0, 0),
        "blue": plain(0, 0, 255),
    }


def _batch_check(
    session: OnnxSession, pictures: list[Picture], alone: list[_Scores]
) -> Check:
    """A picture's scores do not depend on its company."""
    together = session.run(pictures[:_BATCH])
    off = float(np.abs(together - np.stack(alone[:_BATCH])).max())
    detail = f"alone and in a batch of {_BATCH} scores differ by at most {off:.1e}"
    return Check("batch", ok=off <= _TOLERANCE, detail=detail)


def _sum_check(manifest: Manifest, rows: list[_Scores]) -> Check:
    """Scores that are summed per category belong to one whole."""
    if manifest.categories.combine is Combine.MAX:
        return Check("combine", ok=True, detail="each label on its own (max)")
    off = max(abs(float(row.sum()) - 1.0) for row in rows)
    if off <= _TOLERANCE:
        return Check("combine", ok=True, detail="the scores of a picture sum to 1")
    mend = "say output.combine: max, or mend output.activation"
    return Check("combine", ok=False, detail=f"scores sum to 1 ± {off:.2g}; {mend}")


def _colour_note(manifest: Manifest, rows: dict[str, _Scores]) -> Check:
    """No fault can be seen from here, but a swap of colours should not surprise."""
    off = float(np.abs(rows["red"] - rows["blue"]).max())
    order = manifest.input.color
    note = f"the net is fed {order}; red and blue differ by {off:.3f} in a score"
    return Check("colour order", ok=True, detail=note)
