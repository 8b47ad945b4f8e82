"""One connection under the sampler's eyes: its planners, its decoder and its timer."""

import asyncio
from functools import partial
from typing import Final

from sidecar.arena import lease_of
from sidecar.domain import AccessUnit, Sample, Want
from sidecar.log import get_logger
from sidecar.sample.decoder import Decoded, DecodeError, Decoder
from sidecar.sample.keyframes import DecodeMode, KeyframePlanner
from sidecar.sample.opening import Opening, Openings
from sidecar.sample.subject import Source, Subject

log = get_logger(__name__)

_TICK_S: Final = 0.5  # how late a request or a fallback may be while nothing comes
_RESTING_S: Final = 60.0  # between two looks at a clock that nothing depends on
_SHORTEST_REST_S: Final = 0.1  # a shorter one saves nothing
_TURN_S: Final = 0.5  # how often a stream asks whether it is its turn to listen
_ANSWER_S: Final = 1.5  # a request is held back for up to 1 s; and the keyframe itself


class Look:
    """Says what is wanted of a source, and makes samples of what comes.

    Attributes:
        all: Whether everything is wanted; None before `begin`.
        waiting: For the source; else what is missing proves nothing.
    """

    def __init__(self, subject: Subject, source: Source) -> None:
        settings = subject.settings
        self.all: bool | None = None
        self.waiting = True
        self._subject = subject
        self._source = source
        self._planner = KeyframePlanner(settings.decode, settings.pli_interval_s)
        self._openings = Openings()
        self._opening: Opening | None = None  # the one that is rested for
        self._planned: bool | None = None  # whether everything, audits apart
        self._decoder = Decoder(
            source.codec, subject.fmt, subject.arena, subject.formats
        )
        self._answer_by = 0.0  # a keyframe asked for comes until then, or never
        self._timer: asyncio.TimerHandle | None = None
        self._accounted_at = self._now

    @property
    def _now(self) -> float:
        return self._subject.clock.monotonic()

    def begin(self) -> None:
        """Says what is wanted, and goes on doing so while nothing comes."""
        self._subject.stats.samples_due.inc()
        self._listen(self._now)
        self._set_timer()

    def end(self) -> None:
        """Lets go of the timer and the decoder; the source is the caller's."""
        if self._timer is not None:
            self._timer.cancel()
        self._account(self._now)
        self._decoder.close()
        self._count(-1)
        self._subject.listeners.forget(self)

    def back(self, sample: Sample) -> None:
        """The caller is done with `sample`; if it took long, keyframes were missed."""
        now = self._now
        if now - sample.decoded_at > self._subject.cadence.interval_s / 2:
            self._planner.pause(now)
        if self._subject.listeners.seen(self, now):
            self._listen(now)  # another one's turn
            self._set_timer()
        else:
            self._replan(now)

    def replan(self) -> None:
        """How often the stream is to be sampled has changed."""
        if self.waiting:
            self._replan(self._now)

    async def at(self, au: AccessUnit) -> Sample | None:
        """The sample that `au` gives, if it is due and whole."""
        if au.keyframe:
            self._arrived(au.received_at)
        audits = self._subject.audit.active  # else `au` came before its stretch
        self._plan(self._now)
        if not (au.keyframe or (self.all and self._decoder.primed)):
            return None
        due = self._is_due(au)
        audit = audits and self._subject.audit.wants(
            au.received_at, keyframe=au.keyframe
        )
        if not (due or self.all):
            self._rest(self._now)
            return None
        decoded = await self._decoded(au, convert=due or audit)
        if decoded is None:
            return None
        sample = self._sample(decoded)
        self._taken(sample.captured_at, due=due, audit=audit)
        return sample

    def _arrived(self, instant: float) -> None:
        """A keyframe came: was it the one the gate was opened for?"""
        met = self._openings.came(instant, self._planner.rhythm)
        if met is not None:
            outcome = "met" if met else "missed"
            self._subject.stats.openings.labels(outcome).inc()
        self._planner.observe_keyframe(instant)
        self._opening = None

    def _is_due(self, au: AccessUnit) -> bool:
        subject = self._subject
        if not subject.cadence.due(au.received_at, self._grid_s):
            return False
        if self._now - au.completed_at > subject.settings.max_age_s:
            subject.stats.lost.labels("sample", "stale").inc()
            return False
        return True

    def _taken(self, instant: float, *, due: bool, audit: bool) -> None:
        """A picture of `instant` became a sample: what comes next?"""
        subject, now = self._subject, self._now
        by = "all" if self.all else "keyframe"
        if due:
            subject.cadence.taken(instant, self._grid_s)
        if audit:
            by = by if due else "audit"
            subject.stats.audits.labels("done").inc()
            subject.audit.end(now)
            self._plan(now)
        subject.stats.samples_taken.labels(by).inc()
        self._rest(now)

    async def _decoded(self, au: AccessUnit, *, convert: bool) -> Decoded | None:
        decoder = self._decoder
        work = (
            partial(decoder.follow, au, convert=convert)
            if self.all
            else partial(decoder.glance, au)
        )
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._subject.executor, work)
        except DecodeError:
            self._subject.stats.lost.labels("decode", "torn").inc()
            self._subject.audit.torn()
            self._planner.need()
            self._plan(self._now)
            return None

    def _sample(self, decoded: Decoded) -> Sample:
        now = self._now
        sample = Sample(
            stream_id=self._subject.stream_id,
            picture=decoded.picture,
            captured_at=decoded.received_at,
            decoded_at=now,
            receive_s=decoded.completed_at - decoded.received_at,
            decode_s=max(0.0, now - decoded.completed_at),
            fmt=decoded.fmt,
            others=decoded.others,
        )
        memory = "own" if lease_of(decoded.picture) is None else "slot"
        self._subject.stats.pictures.labels(memory).inc()
        leg = self._subject.stats.leg_seconds
        leg.labels("receive").observe(sample.receive_s)
        leg.labels("decode").observe(sample.decode_s)
        return sample

    def _tick(self) -> None:
        now = self._now
        if self.waiting:
            self._listen(now)
        self._set_timer()

    def _listen(self, now: float) -> None:
        """Goes by the plan, or rests if it has to wait for its turn to listen."""
        if self._may_listen(now):
            self._plan(now)
            return
        self._subject.stats.put_off.inc()
        if self.all is None:
            self._switch(planned=False, audit=False)
        if self._openings.miss():
            self._subject.stats.openings.labels("missed").inc()
        opening = self._openings.plan(now + _TURN_S, self._planner.rhythm)
        self._opening = opening
        self._planner.rest(opening.until)
        self._source.rest(opening.until)

    def _may_listen(self, now: float) -> bool:
        """Whether it is known what is listened for, or there is a place to find out."""
        if self.all or self._subject.settings.decode is DecodeMode.ALL:
            return True
        resting = self._opening is not None and now < self._opening.until
        if resting or now < self._answer_by:
            return True
        if self._openings.expects(now, self._planner.rhythm):
            return True
        return self._subject.listeners.enter(self, now)

    def _set_timer(self) -> None:
        """For the end of a rest; else for the next tick."""
        if self._timer is not None:
            self._timer.cancel()
        delay_s = _TICK_S
        if self._opening is not None:
            delay_s = min(_RESTING_S, max(0.0, self._opening.until - self._now))
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _plan(self, now: float) -> None:
        """What is wanted at `now`; nothing changes while resting."""
        self._account(now)
        ahead_s = 0.0
        if self._opening is not None:
            if now < self._opening.until:
                return
            ahead_s = (self._opening.beat_at or now) - now
            self._opening = None
        plan = self._planner.decide(now, self._subject.cadence.interval_s)
        self._subject.cadence.space(self._planner.spacing_s)
        self._audit(now, ahead_s, all_=plan.all)
        self._switch(plan.all, audit=self._subject.audit.active)
        if plan.request_keyframe:
            self._answer_by = now + _ANSWER_S
            self._source.request_keyframe()

    def _audit(self, now: float, ahead_s: float, *, all_: bool) -> None:
        """Begins an audit that is due by the keyframe expected; ends one in vain."""
        audit = self._subject.audit
        if audit.given_up(now):
            self._subject.stats.audits.labels("given_up").inc()
            audit.end(now)
        if not audit.due(now + max(0.0, ahead_s)):
            return
        if all_:  # any picture may be sampled anyway
            audit.end(now)
            return
        group_s = None if self._planner.asking else self._planner.period_s
        audit.begin(now, group_s)
        if self._planner.asking:
            self._planner.need()

    def _replan(self, now: float) -> None:
        """Ends the rest if it is too long by now; rests anew if there is time."""
        rested, self._opening = self._opening, None
        self._plan(now)
        if self._rest(now, rested) or rested is None:
            return
        self._openings.drop()
        self._planner.pause(now)
        if not self.all:
            self._source.rest(now)

    def _rest(self, now: float, rested: Opening | None = None) -> bool:
        """Whether nothing is needed for a while; the source is told what is new."""
        if self.all or not self._planner.rests(now):
            return False
        opening = self._next(now)
        if opening.until - now < _SHORTEST_REST_S:
            return False
        self._opening = opening
        self._subject.listeners.found(self)
        self._planner.rest(opening.until)
        if opening != rested:
            self._source.rest(opening.until)
        self._set_timer()
        return True

    def _next(self, now: float) -> Opening:
        subject, planner = self._subject, self._planner
        due_at = subject.cadence.earliest(now, self._grid_s)
        wanted_at = max(now, min(due_at, subject.audit.at))
        if planner.asking:
            return Opening(max(wanted_at, planner.may_ask_at))
        return self._openings.plan(wanted_at, planner.rhythm)

    @property
    def _grid_s(self) -> float:
        return 0.0 if self.all else self._planner.grid_s

    def _switch(self, planned: bool, *, audit: bool) -> None:  # noqa: FBT001
        """Wants all if that is planned or for an audit, else keyframes."""
        if self._planned not in {None, planned}:
            log.info("decode_switched", stream=self._subject.stream_id, all=planned)
        self._planned = planned
        all_ = planned or audit
        if all_ is self.all:
            return
        if all_:
            self._subject.listeners.leave(self)
        self._count(-1)
        self.all = all_
        self._count(1)
        self._source.want(Want.ALL if all_ else Want.KEYFRAMES)

    def _count(self, change: int) -> None:
        if self.all is not None:
            decode = "all" if self.all else "keyframes"
            self._subject.stats.decoding_streams.labels(decode).inc(change)

    def _account(self, now: float) -> None:
        """Samples that fell due since the last account, as a share of intervals."""
        passed_s = max(0.0, now - self._accounted_at)
        self._subject.stats.samples_due.inc(passed_s / self._subject.cadence.interval_s)
        self._accounted_at = now
