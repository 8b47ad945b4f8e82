"""What the demo's subscriber has heard so far; pure, fed with topics and payloads."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

_KEPT_LINES: Final = 8


@dataclass(slots=True)
class Story:
    """The newest message of each kind, and what happened in words.

    Attributes:
        status: The sidecar's own word, or None.
        verdict: The stream's newest verdict payload, or None.
        scores: Its newest scores payload, or None.
        action: The newest action that was heard, or None.
        takedown: The first takedown payload, or None.
        lines: The last few events, as sentences.
    """

    status: str | None = None
    verdict: dict[str, Any] | None = None
    scores: dict[str, Any] | None = None
    action: dict[str, Any] | None = None
    takedown: dict[str, Any] | None = None
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Adds a sentence; the oldest gives way."""
        self.lines.append(line)
        del self.lines[:-_KEPT_LINES]

    def hear(self, topic: str, payload: bytes) -> None:
        """Takes one message as it came from the broker."""
        if not payload:
            return
        body = json.loads(payload)
        kind = topic.rsplit("/", 1)[-1]
        if kind == "status":
            self._hear_status(body)
        elif kind == "verdict":
            self._hear_verdict(body)
        elif kind == "scores":
            self.scores = body
        elif "/actions/" in topic:
            self._hear_action(body)

    def _hear_status(self, body: dict[str, Any]) -> None:
        state = str(body["state"])
        if state != self.status:
            self.tell(f"The sidecar says it is {state}.")
        self.status = state

    def _hear_verdict(self, body: dict[str, Any]) -> None:
        self.verdict = body
        state, reason = body["state"], body.get("reason")
        if state == "unknown":
            self.tell(f"Verdict UNKNOWN ({reason}): not seen is not clean.")
        elif state == "violating":
            self.tell(f"Verdict VIOLATING: {', '.join(body['categories'])}.")
        else:
            self.tell("Verdict CLEAR: the stream is seen, and nothing was found.")

    def _hear_action(self, body: dict[str, Any]) -> None:
        self.action = body
        reason = body["reason"]
        self.tell(
            f"{body['action'].upper()} for {body['subject']['stream']}: "
            f"{reason['category']} {reason['score']:.2f} in {reason['hits']} of the "
            f"last {reason['of']} samples."
        )
        if body["action"] == "takedown" and self.takedown is None:
            self.takedown = body
