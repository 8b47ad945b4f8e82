"""What `sidecar bench batch` found, as rows and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MS = 1000.0


@dataclass(frozen=True, slots=True)
class Pace:
    """A stage, or the bare session, fed evenly.

    Attributes:
        rate: Samples a second.
        cpu_s: User and system time of the whole process.
        seconds: For so long.
        latencies_s: Of each sample, from its entry to its scores.
        inferences_s: Of each sample, the part of it inside `session.run`.
        delay_s: The part of it that was chosen: `max_queue_delay_s`.
    """

    rate: float
    cpu_s: float
    seconds: float
    latencies_s: tuple[float, ...] = ()
    inferences_s: tuple[float, ...] = ()
    delay_s: float = 0.0

    @property
    def cpu_cores(self) -> float:
        """Cores kept busy."""
        return self.cpu_s / self.seconds

    @property
    def added_s(self) -> tuple[float, ...]:
        """Queue and bookkeeping of each sample."""
        pairs = zip(self.latencies_s, self.inferences_s, strict=True)
        return tuple(whole - inside - self.delay_s for whole, inside in pairs)


@dataclass(frozen=True, slots=True)
class PacedRow:
    """A stage and the bare session at the same pace, in turn: the rounds' medians.

    Attributes:
        rate: Samples a second.
        rounds: The stage and the bare session of each; none beyond capacity.
    """

    rate: float
    rounds: tuple[tuple[Pace, Pace], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """With null where the rate is more than the model can do."""
        if not self.rounds:
            keys = ("cpu_cores", "bare_cpu_cores", "cpu_ratio", "p50_ms", "p99_ms")
            nothing: dict[str, Any] = dict.fromkeys((*keys, "added_ms_p99"))
            return {"rate": self.rate, **nothing, "beyond_capacity": True}
        stages = [stage for stage, _ in self.rounds]
        bares = [bare for _, bare in self.rounds]
        ratios = [stage.cpu_cores / bare.cpu_cores for stage, bare in self.rounds]

        def ms(percent: float) -> float:
            found = [percentile(stage.latencies_s, percent) for stage in stages]
            return round(MS * median(found), 2)

        added_s = [percentile(stage.added_s, 99) for stage in stages]
        return {
            "rate": self.rate,
            "cpu_cores": round(median(stage.cpu_cores for stage in stages), 4),
            "bare_cpu_cores": round(median(bare.cpu_cores for bare in bares), 4),
            "cpu_ratio": round(median(ratios), 3),
            "p50_ms": ms(50),
            "p99_ms": ms(99),
            "added_ms_p99": round(MS * median(added_s), 2),
        }


@dataclass(frozen=True, slots=True)
class ModelRow:
    """All figures of one model.

    Attributes:
        model: Its name.
        provider: What it ran on.
        batch: Pictures a batch, of the stage and of the bare session alike.
        threads: Cores a batch.
        callers: Batches at a time.
        bare: Samples a second of each round, `session.run` in a loop.
        stage: The same of the whole classify stage.
        paced: At the rates that were asked for.
        half_load: At half of what the stage can do.
    """

    model: str
    provider: str
    batch: int
    threads: int
    callers: int
    bare: tuple[float, ...]
    stage: tuple[float, ...]
    paced: tuple[PacedRow, ...]
    half_load: PacedRow

    @property
    def fraction_of_bare(self) -> float:
        """The median of the rounds' own ratios: a noisy minute spoils both alike."""
        return median(s / b for s, b in zip(self.stage, self.bare, strict=True))

    def as_json(self) -> dict[str, Any]:
        """One entry of `models`."""
        return {
            "model": self.model,
            "provider": self.provider,
            "batch": self.batch,
            "threads": self.threads,
            "callers": self.callers,
            "bare_samples_per_s": round(median(self.bare), 1),
            "stage_samples_per_s": round(median(self.stage), 1),
            "fraction_of_bare": round(self.fraction_of_bare, 4),
            "paced": [row.as_json() for row in self.paced],
            "half_load": self.half_load.as_json(),
        }


def report(rows: Sequence[ModelRow]) -> dict[str, Any]:
    """What `--json` prints."""
    return {"models": [row.as_json() for row in rows]}


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank; of a hundred values the 99th is the last but one."""
    ranked = sorted(values)
    rank = max(1, -(-len(ranked) * percent // 100))
    return ranked[int(rank) - 1]
