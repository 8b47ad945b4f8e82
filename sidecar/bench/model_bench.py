"""`sidecar models bench`: providers, threads and batch sizes on this host, measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import yaml

from sidecar.classify import graph, runtime
from sidecar.classify.calibration import throughput
from sidecar.classify.cores import usable_cores
from sidecar.classify.layout import Layout, candidates
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import ON_HOST, PROVIDERS, Asked
from sidecar.errors import ConfigError

SIZES: Final = (1, 2, 4, 8)
_AS_GOOD: Final = 0.95  # of the best: then fewer cores and smaller batches are better
_ONE: Final = Layout()

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One way to run the model.

    Attributes:
        provider: What on.
        threads: Cores a batch.
        callers: Batches at a time.
        batch: Pictures a batch.
        samples_per_s: By all callers together.
    """

    provider: str
    threads: int
    callers: int
    batch: int
    samples_per_s: float

    @property
    def batch_ms(self) -> float:
        """How long a batch takes."""
        return 1000 * self.batch * self.callers / self.samples_per_s

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration's keys."""
        engine = {
            "provider": self.provider,
            "threads": self.threads,
            "callers": self.callers,
        }
        return {"engine": engine, "batch": {"max_batch_size": self.batch}}


def measure(
    manifest: Manifest, sizes: Sequence[int], seconds: float, tell: Tell
) -> Iterator[Measured]:
    """Every way, one after the other; those that do not work here are told."""
    prepared = graph.prepare(manifest)
    for provider, name in PROVIDERS.items():
        if name not in runtime.available():
            continue
        host = provider in ON_HOST
        for layout in candidates(usable_cores(), None, None) if host else [_ONE]:
            settings = EngineSettings(
                threads=layout.threads,
                callers=layout.callers,
                max_batch_size=max(sizes),
                asked=Asked((provider,), required=True),
            )
            try:
                session = OnnxSession(manifest, settings, prepared)
            except ConfigError as exc:
                tell(f"{provider} is left out: {exc}")
                break
            yield from _of(session, sizes, seconds)


def recommended(rows: Sequence[Measured]) -> Measured:
    """The fastest, or what is nearly as fast on fewer cores, in smaller batches."""
    best = max(row.samples_per_s for row in rows)
    good = [row for row in rows if row.samples_per_s >= _AS_GOOD * best]
    return min(good, key=lambda row: (row.threads * row.callers, row.batch))


def as_yaml(row: Measured) -> str:
    """To be pasted into a configuration."""
    return yaml.safe_dump(row.settings, sort_keys=False)


def as_json_of(rows: Sequence[Measured], best: Measured) -> dict[str, Any]:
    """What `--json` prints."""
    shown = [{**asdict(row), "batch_ms": round(row.batch_ms, 3)} for row in rows]
    return {"rows": shown, "recommended": best.settings}


def _of(
    session: OnnxSession, sizes: Sequence[int], seconds: float
) -> Iterator[Measured]:
    """One session with each size of batch."""
    spec, layout = session.manifest.input, session.layout
    black = np.zeros((spec.height, spec.width, 3), np.uint8)
    for size in sizes:
        batch = [black] * size
        rate = throughput(lambda b=batch: session.raw(b), layout.callers, seconds)  # type: ignore[misc]
        yield Measured(
            session.got.provider, layout.threads, layout.callers, size, size * rate
        )
