"""Puts a model through its paces before anybody relies on it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.float_path import activated, raw_output
from sidecar.classify.labels import Combine
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.reference import Reference, read
from sidecar.domain import ModelRef, Picture
from sidecar.errors import EngineError, ManifestError
from sidecar.sample.resize import METHODS, resized

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
        yield _sum_check(manifest, list(alone.values()))
        yield _colour_check(session)
        yield _resize_note(session)
        yield from _reference_checks(session)
    except EngineError as exc:
        yield Check("scores", ok=False, detail=str(exc))
    except ManifestError as exc:
        yield Check("reference", ok=False, detail="; ".join(exc.faults))


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


def _colour_check(session: OnnxSession) -> Check:
    """Red and blue change places as they do where numpy feeds the file floats."""
    manifest = session.manifest
    data, spec, output = manifest.read_model(), manifest.input, manifest.output
    known = _pictures(spec.height, spec.width)
    apart = off = crossed = 0.0
    for picture in (known["red"], known["blue"], _chart(spec.height, spec.width)):
        raw = raw_output(data, spec, output.name, picture)
        wanted = activated(raw, output.activation)[0]
        swapped = np.ascontiguousarray(picture[..., ::-1])
        straight, turned = (session.run([shown])[0] for shown in (picture, swapped))
        apart = max(apart, float(np.abs(straight - turned).max()))
        off = max(off, float(np.abs(straight - wanted).max()))
        crossed = max(crossed, float(np.abs(turned - wanted).max()))
    detail = f"the net is fed {spec.color}; blue for red moves a score by {apart:.3f}"
    if off <= _TOLERANCE:
        blind = "" if apart > _TOLERANCE else ": too little to tell the order by fields"
        return Check("colour order", ok=True, detail=detail + blind)
    why = "swapped" if crossed <= _TOLERANCE else f"{off:.1e} off what numpy feeds"
    return Check("colour order", ok=False, detail=f"{detail}; they are {why}")


def _resize_note(session: OnnxSession) -> Check:
    """How far a score would move if frames were resized otherwise than declared."""
    fmt = session.manifest.format
    chart = _chart(3 * fmt.height, 5 * fmt.width)
    said = session.run([resized(chart, fmt)])[0]
    moved = {
        method: float(np.abs(session.run([resized(chart, other)])[0] - said).max())
        for method in METHODS
        if (other := replace(fmt, resize=method)) != fmt
    }
    worst = max(moved, key=moved.__getitem__)
    note = f"{worst} instead of {fmt.resize} moves a score by {moved[worst]:.3f}"
    return Check("resize", ok=True, detail=f"{note} on a test chart")


def _chart(height: int, width: int) -> Picture:
    """A wave that is finest in the middle, in three colours: hard on any resize."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    phases = 400 / (0.2 + x**2 + y**2)
    channels = [127.5 + 127.5 * np.sin(phases + turn) for turn in (0, 2, 4)]
    return np.stack(channels, axis=2).astype(np.uint8)


def _reference_checks(session: OnnxSession) -> Iterator[Check]:
    """Pictures whose scores are known: the net and its colours, then the resize."""
    manifest = session.manifest
    known = read(manifest.path.parent, len(manifest.labels))
    fitting = [r for r in known if _fits(session, r)]
    others = [r for r in known if not _fits(session, r)]
    if fitting:
        yield _against(session, "reference", fitting)
    if others:
        yield _against(session, "reference resized", others)


def _against(session: OnnxSession, name: str, known: list[Reference]) -> Check:
    """The model's scores beside the original's."""
    swapped = {r.name: _off(session, r, r.picture[..., ::-1]) for r in known}
    straight = {r.name: _off(session, r, r.picture) for r in known}
    allowed = {r.name: _allowed(session, r) for r in known}
    worst = max(straight, key=lambda key: straight[key] / allowed[key])
    detail = f"{', '.join(straight)}: at most {straight[worst]:.1e} off ({worst})"
    if straight[worst] <= allowed[worst]:
        return Check(name, ok=True, detail=detail)
    if all(swapped[key] <= allowed[key] for key in swapped):
        mend = "red and blue are swapped; mend input.color"
    else:
        mend = "mend scale, mean, std, color, resize or the order of labels"
    return Check(
        name, ok=False, detail=f"{detail}; {allowed[worst]:g} is allowed: {mend}"
    )


def _off(session: OnnxSession, reference: Reference, picture: Picture) -> float:
    """The largest difference of a score; what does not fit is resized beforehand."""
    if not _fits(session, reference):
        picture = resized(picture, session.manifest.format)
    scores = session.run([np.ascontiguousarray(picture)])[0]
    return float(np.abs(scores - reference.scores).max())


def _allowed(session: OnnxSession, reference: Reference) -> float:
    """How far a score may be off: more where the resize takes part."""
    if _fits(session, reference):
        return reference.tolerance
    return reference.resize_tolerance


def _fits(session: OnnxSession, reference: Reference) -> bool:
    """Whether the picture is what the net is fed, pixel for pixel."""
    spec = session.manifest.input
    return reference.picture.shape == (spec.height, spec.width, 3)
