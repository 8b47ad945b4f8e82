"""A harmless test card through the real path, now and then: is it still seen?

It takes the way of a stream's keyframe: decoder, scaling for every model, batch,
inference on every model, and a policy that asks for a flag. It ends there: the action
is a dry run about no stream, and nobody publishes it. What it does not cover is
the network before (streams have their own watchdogs) and the broker behind (readiness).
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final

from sidecar.app.models import CANARY_MODEL
from sidecar.classify.roster import Roster
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.config.models import CanaryConfig
from sidecar.decide.policy import Policy, Rule, Selector, initial, observe
from sidecar.domain import AccessUnit, ActionKind, Codec, Sample
from sidecar.errors import EngineError
from sidecar.log import get_logger
from sidecar.sample.decoder import DecodeError, Decoder
from sidecar.stats import Stats
from sidecar.testcard.still import keyframe

log = get_logger(__name__)

CANARY: Final = "canary/card"
"""No stream has this id: a stream's has no slash, so it has no topic either."""


class Canary:
    """Sends the card every `every_s`, and says when it is not seen.

    Args:
        config: How often, and what counts as seen.
        roster: The models, the unchanged gate left out: it would keep the last score.
        decoders: The threads in which streams are decoded.
        clock: Monotonic seconds.
        stats: Counts how it went.
        sleep: Waits between two cards.

    Attributes:
        fault: Why the last card was not seen; None if it was.
    """

    def __init__(
        self,
        config: CanaryConfig,
        roster: Roster,
        decoders: Executor,
        clock: Clock,
        stats: Stats,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self.fault: str | None = None
        self._config = config
        self._roster = roster
        self._decoders = decoders
        self._clock = clock
        self._stats = stats
        self._policy = _policy(config)
        self._data = b""

    async def run(self) -> None:
        """The first card at once, then one every `every_s`, for ever."""
        loop = asyncio.get_running_loop()
        self._data = await loop.run_in_executor(
            self._decoders, keyframe, self._config.category
        )
        while True:
            await self.send()
            await self._sleep(self._config.every_s)

    async def send(self) -> None:
        """One card; `fault` tells how it went."""
        if all(ref.name != CANARY_MODEL for ref in self._roster.refs):
            self.fault = None  # the models were exchanged for some that know no card
            return
        try:
            async with asyncio.timeout(self._config.timeout_s):
                fault = await self._look()
        except TimeoutError:
            fault = f"no answer within {self._config.timeout_s:g} s"
        except (EngineError, DecodeError) as exc:
            fault = str(exc)
        self._stats.canaries.labels("missed" if fault else "seen").inc()
        if fault is not None:
            log.error("canary_missed", reason=fault)
        elif self.fault is not None:
            log.warning("canary_seen_again")
        self.fault = fault

    async def _look(self) -> str | None:
        """What is wrong with what came out at the other end; None: the card is seen."""
        sample = await self._sample()
        scores = await self._roster.classify(sample)
        now = self._clock.monotonic()
        step = observe(self._policy, CANARY, initial(self._policy, now), scores, now)
        if step.actions:
            return None
        found = scores.by_category.get(self._config.category)
        score = "no score" if found is None else f"a score of {found.score:.3f}"
        return (
            f"{score} for {self._config.category} instead of "
            f"{self._config.min_score:g} or more"
        )

    async def _sample(self) -> Sample:
        """The card, received just now as a stream's keyframe would be."""
        now = self._clock.monotonic()
        formats = self._roster.formats
        decoder = Decoder(Codec.VP8, formats[0], None, lambda: formats)
        unit = AccessUnit(
            Codec.VP8, self._data, keyframe=True, received_at=now, completed_at=now
        )
        loop = asyncio.get_running_loop()
        decoded = await loop.run_in_executor(self._decoders, decoder.glance, unit)
        if decoded is None:
            raise DecodeError("the card's keyframe is not to be shown")
        done = self._clock.monotonic()
        return Sample(
            CANARY,
            decoded.picture,
            captured_at=now,
            decoded_at=done,
            decode_s=done - now,
            fmt=decoded.fmt,
            others=decoded.others,
        )


def canary_of(
    config: Config, roster: Roster, decoders: Executor, clock: Clock, stats: Stats
) -> Canary | None:
    """The canary that a configuration asks for, if it does."""
    if config.canary is None:
        return None
    return Canary(config.canary, roster, decoders, clock, stats)


def _policy(config: CanaryConfig) -> Policy:
    """A flag on the first sight of the card, dry."""
    rule = Rule(
        name="canary",
        category=config.category,
        action=ActionKind.FLAG,
        enter=config.min_score,
        exit=config.min_score,
        hits=1,
        of=1,
        within_s=config.timeout_s,
        cooldown_s=0.0,
    )
    return Policy(
        name="canary",
        match=Selector(),
        rules=(rule,),
        unknown=None,
        stale_after_s=config.timeout_s,
        dry_run=True,
    )
