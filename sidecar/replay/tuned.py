"""What tuning recommends: a policy file with a reason for each number; pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sidecar.replay.calibration import Calibration
from sidecar.replay.intervals import Estimate, quantile
from sidecar.replay.metrics import Figures, figures_json
from sidecar.replay.tuning import Candidate, Tuned, Wishes

SCHEMA: Final = "sidecar.tune/1"


def policy_text(
    tuned: Sequence[Tuned],
    calibrations: Sequence[Calibration],
    wishes: Wishes,
    epoch: datetime,
) -> str:
    """A list of one policy, for `policies: FILE`; YAML."""
    false = f"{wishes.false_per_1000h:g} false takedowns in 1,000 hours"
    lines = [
        "# Recommended by `sidecar tune` from recordings and labels. Thresholds hold",
        "# for the models named here only.",
        f"# Asked for: recall of {wishes.recall:g}, {false}.",
        f"# The recordings begin {epoch.isoformat(timespec='seconds')}.",
        "- name: tuned",
        "  rules:",
    ]
    for one, calibration in zip(tuned, calibrations, strict=True):
        lines += _rule(one, calibration)
    lines += ["  stale_after_s: 10  # not tuned"]
    return "\n".join(lines) + "\n"


def _rule(one: Tuned, calibration: Calibration) -> list[str]:
    rule, found = one.best.rule, one.best.found
    p50 = quantile(found.times(), 0.5)
    soon = "nothing was found" if p50 is None else f"median {p50:.1f} s to detect"
    held = ", ".join(_recall(figures.recall) for figures in one.held_out)
    at = f"{calibration.probability(rule.enter):.2f} at {calibration.temperature:g}"
    lines = [
        f"    # {calibration.model} {calibration.model_hash}",
        f"    # recall {_recall(found.recall)}; {soon}",
        f"    # {one.best.false} false takedowns in {found.hours:.1f} h",
        f"    # chosen on one half of the streams, recall on the other: {held}",
        f"    - name: {rule.name}",
        f"      category: {rule.category}",
        "      action: takedown",
    ]
    reasons = {
        "enter": (rule.enter, f"calibrated {at}; the best of {len(one.candidates)}"),
        "exit": (rule.exit, f"{rule.exit / rule.enter:.2f} of enter: no flapping"),
        "hits": (rule.hits, f"of the last {rule.of} samples, never one alone"),
        "of": (rule.of, f"{rule.of - rule.hits} misses in between are forgiven"),
        "within_s": (rule.within_s, "how far apart the hits may be"),
        "cooldown_s": (rule.cooldown_s, "not tuned"),
    }
    lines += [f"      {key}: {n:g}  # {why}" for key, (n, why) in reasons.items()]
    return lines


def _recall(one: Estimate) -> str:
    if one.value is None:
        return "none"
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def tuned_json(
    tuned: Sequence[Tuned], calibrations: Sequence[Calibration]
) -> dict[str, Any]:
    """Everything that was found, for machines."""
    return {
        "schema": SCHEMA,
        "categories": [
            {
                "category": one.category,
                "model": {"name": calibration.model, "hash": calibration.model_hash},
                "recommended": _candidate(one.best),
                "front": [_candidate(candidate) for candidate in one.front],
                "tried": len(one.candidates),
                "held_out": [_held(figures) for figures in one.held_out],
                "calibration": {
                    "temperature": calibration.temperature,
                    "ece": round(calibration.ece[0], 6),
                    "ece_scaled": round(calibration.ece[1], 6),
                    "reliability": [
                        {
                            "score": round(b.score, 6),
                            "labelled": round(b.labelled, 6),
                            "weight": round(b.weight, 6),
                        }
                        for b in calibration.bins
                    ],
                },
            }
            for one, calibration in zip(tuned, calibrations, strict=True)
        ],
    }


def calibration_json(calibrations: Sequence[Calibration]) -> dict[str, Any]:
    """By category: the temperature, and the only model it holds for."""
    return {
        one.category: {
            "model": one.model,
            "model_hash": one.model_hash,
            "temperature": one.temperature,
            "ece": round(one.ece[0], 6),
            "ece_scaled": round(one.ece[1], 6),
        }
        for one in calibrations
    }


def _held(found: Figures) -> dict[str, Any]:
    said = figures_json(found)
    return {key: said[key] for key in ("recall", "false_takedowns_per_1000h")}


def _candidate(one: Candidate) -> dict[str, Any]:
    rule, said = one.rule, figures_json(one.found)
    return {
        "enter": rule.enter,
        "exit": rule.exit,
        "hits": rule.hits,
        "of": rule.of,
        "within_s": rule.within_s,
        "shown_s": round(one.shown_s, 3),
        "false_takedowns": one.false,
        "recall": said["recall"],
        "false_takedowns_per_1000h": said["false_takedowns_per_1000h"],
        "time_to_detect_s": said["time_to_detect_s"],
    }
