"""What the demo shows is what its subscriber heard."""

import json
from collections.abc import Mapping

from rich.console import Console

from sidecar.demo.display import render, scores_of, summary
from sidecar.demo.story import Story

ACTION = {
    "action": "takedown",
    "subject": {"stream": "demo-1"},
    "reason": {
        "category": "sexual.explicit",
        "score": 0.99,
        "hits": 2,
        "of": 3,
        "enter": 0.85,
    },
    "policy": {"rule": "demo-takedown"},
    "model": {"name": "testcard"},
    "timings_ms": {"receive": 1.0, "decode": 2.5},
}


def _heard(story: Story, kind: str, body: Mapping[str, object]) -> None:
    topic = f"moderation/v1/default/streams/demo-1/{kind}"
    story.hear(topic, json.dumps(body).encode())


def _shown(story: Story, age_s: float | None = None) -> str:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(render(story, age_s))
    return captured.get()


def test_unknown_is_shown_as_unknown_with_its_reason() -> None:
    """Before anything was seen the display says so, not 'clean'."""
    story = Story()
    assert "UNKNOWN" in _shown(story)
    assert "never seen" in _shown(story)
    _heard(story, "verdict", {"state": "unknown", "reason": "no_frames"})
    assert "UNKNOWN (no_frames)" in _shown(story)


def test_the_story_follows_the_messages() -> None:
    """Status, verdicts, scores and actions each leave their line."""
    story = Story()
    story.hear("moderation/v1/default/sidecars/demo/status", b'{"state":"online"}')
    story.hear("moderation/v1/default/sidecars/demo/status", b'{"state":"online"}')
    _heard(story, "verdict", {"state": "clear", "reason": None})
    _heard(story, "verdict", {"state": "violating", "categories": ["drugs"]})
    _heard(story, "scores", {"categories": {"drugs": {"score": 0.5, "label": "x"}}})
    _heard(story, "actions/takedown", ACTION)
    story.hear("moderation/v1/default/streams/demo-1/verdict", b"")
    assert len(story.lines) == 4
    assert story.takedown == ACTION
    assert scores_of(story.scores) == {"drugs": 0.5}
    shown = _shown(story, 0.3)
    assert "TAKEDOWN for demo-1" in shown
    assert "last look 0.3 s ago" in shown


def test_only_the_last_lines_are_kept() -> None:
    """The display does not grow."""
    story = Story()
    for number in range(20):
        story.tell(str(number))
    assert story.lines == [str(number) for number in range(12, 20)]


def test_the_summary_says_what_was_seen_and_what_is_next() -> None:
    """Category, score, rule, latency, legs, and the next step in words."""
    console = Console(width=100)
    with console.capture() as captured:
        console.print(summary(ACTION, 512.0))
    text = captured.get()
    for part in ("sexual.explicit", "0.99", "demo-takedown", "512 ms", "sidecar check"):
        assert part in text
