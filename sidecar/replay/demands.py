"""`--fail-under`: what a policy has to reach, as an exit code for CI; pure."""

from dataclasses import dataclass
from typing import Final

from sidecar.errors import ConfigError
from sidecar.replay.intervals import quantile
from sidecar.replay.metrics import Figures

# Of each: whether more is better.
KNOWN: Final = {
    "recall": True,
    "false_takedowns_per_1000h": False,
    "stream_false_positive_rate": False,
    "time_to_detect_p50_s": False,
    "time_to_detect_p90_s": False,
    "time_to_detect_p99_s": False,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A demand, and whether it was met.

    Attributes:
        name: One of `KNOWN`.
        wanted: The bound.
        found: None if there was nothing to measure; such a demand is not met.
        met: Whether it was.
    """

    name: str
    wanted: float
    found: float | None
    met: bool


def parse_demands(text: str) -> dict[str, float]:
    """`recall=0.95,false_takedowns_per_1000h=1`. Raises ConfigError."""
    wanted: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name = name.strip()
        if name not in KNOWN:
            raise ConfigError(
                f"--fail-under: {name!r} is not known; use {', '.join(KNOWN)}"
            )
        try:
            wanted[name] = float(number)
        except ValueError:
            raise ConfigError(
                f"--fail-under {part!r}: {number!r} is no number"
            ) from None
        if not 0 <= wanted[name] < float("inf"):
            raise ConfigError(f"--fail-under {part!r}: use a number of 0 or more")
    return wanted


def judge(found: Figures, wanted: dict[str, float]) -> list[Verdict]:
    """Whether each demand is met, by the figure itself, not by its interval."""
    return [_judged(name, bound, _value(found, name)) for name, bound in wanted.items()]


def _judged(name: str, wanted: float, found: float | None) -> Verdict:
    if found is None:
        return Verdict(name, wanted, None, met=False)
    return Verdict(
        name, wanted, found, met=found >= wanted if KNOWN[name] else found <= wanted
    )


def _value(found: Figures, name: str) -> float | None:
    if name == "recall":
        return found.recall.value
    if name == "false_takedowns_per_1000h":
        return found.false_per_1000h.value
    if name == "stream_false_positive_rate":
        return found.stream_fpr.value
    percent = int(name.removeprefix("time_to_detect_p").removesuffix("_s"))
    return quantile(found.times(), percent / 100)
