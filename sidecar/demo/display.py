"""The demo's terminal: what is heard from the broker, as it happens."""

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sidecar.demo.story import Story

_COLOUR = {"clear": "green", "violating": "bold red", "unknown": "yellow"}
_BAR_WIDTH = 24
_TITLE = "the page: open this in a browser; Ctrl-C ends the demo"


def render(story: Story, age_s: float | None, page: str = "") -> RenderableType:
    """The whole display.

    Args:
        story: What was heard.
        age_s: Time since the last scores were heard.
        page: Address of the operator's page.
    """
    return Group(
        Panel(Text(page, overflow="fold"), title=_TITLE, title_align="left"),
        Panel(_stream(story, age_s), title="stream demo-1", title_align="left"),
        Panel(Text("\n".join(story.lines)), title="what happens", title_align="left"),
    )


def _stream(story: Story, age_s: float | None) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    state = (story.verdict or {}).get("state", "unknown")
    reason = (story.verdict or {}).get("reason")
    word = f"{state.upper()}{f' ({reason})' if reason else ''}"
    table.add_row("verdict", Text(word, style=_COLOUR.get(state, "")))
    age = "never seen" if age_s is None else f"last look {age_s:.1f} s ago"
    table.add_row("coverage", age)
    for category, score in sorted(scores_of(story.scores).items()):
        table.add_row(category, _bar(score))
    return table


def scores_of(scores: dict[str, Any] | None) -> dict[str, float]:
    """Category to score of a `moderation.scores/1` payload."""
    categories = (scores or {}).get("categories", {})
    return {category: float(part["score"]) for category, part in categories.items()}


def _bar(score: float) -> Text:
    filled = round(score * _BAR_WIDTH)
    return Text(
        "█" * filled + "·" * (_BAR_WIDTH - filled) + f" {score:.2f}",
        style="red" if score >= 0.5 else "",  # noqa: PLR2004 half the bar
    )


def summary(action: dict[str, Any], latency_ms: float | None) -> RenderableType:
    """What was seen, in plain words, with the legs, and what to do next."""
    reason = action["reason"]
    text = Text()
    text.append("A takedown signal came over MQTT.\n\n", style="bold")
    text.append(
        f"The stream {action['subject']['stream']} showed the harmless test card for "
        f"{reason['category']}.\nThe model {action['model']['name']} scored it "
        f"{reason['score']:.2f} in {reason['hits']} of {reason['of']} samples; "
        f"the rule {action['policy']['rule']!r} acts from {reason['enter']:.2f}.\n"
    )
    if latency_ms is not None:
        text.append(
            f"From the card's first picture to the signal: {latency_ms:.0f} ms.\n"
        )
    return Group(
        text,
        _legs(action["timings_ms"]),
        Text(
            "\nWhat next: copy configs/minimal.yaml, put your server's WHEP address\n"
            "and your broker in it, then `sidecar check FILE`, `sidecar run FILE`.\n"
            "README.md walks through it; docs/mqtt-contract.md is for enforcers."
        ),
    )


def _legs(timings: dict[str, float]) -> Table:
    table = Table(title="of the last sample, milliseconds", title_justify="left")
    for leg in timings:
        table.add_column(leg, justify="right")
    table.add_row(*(f"{value:.1f}" for value in timings.values()))
    return table
