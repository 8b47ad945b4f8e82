"""A replay from its inputs to its outcome."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from sidecar import __version__
from sidecar.app.stages import policy_set
from sidecar.clock import SystemClock
from sidecar.config import Config
from sidecar.errors import ConfigError
from sidecar.recording.entry import Entry, EntryKind, decision_of
from sidecar.recording.folder import OneFile
from sidecar.recording.lines import Session
from sidecar.recording.reader import Recording
from sidecar.recording.rerun import Judged, Rerun
from sidecar.replay.inputs import Inputs
from sidecar.replay.outcome import Outcome
from sidecar.replay.player import Player, stream_of
from sidecar.replay.source import Watching, length_of
from sidecar.replay.virtual import Pace, RealTime, at_once

_LOOK_EVERY: Final = 256  # entries between two looks at whether to stop


@dataclass(frozen=True, slots=True)
class Ways:
    """How a replay is followed.

    Attributes:
        stop: Once set, it ends where it is.
        tell: Told the stream, the seconds reached, the length if known, the samples.
        record: Where what came of it is written, as a recording.
        realtime: A second takes a second; each video begins anew.
    """

    stop: Event
    tell: Callable[[str, float, float | None, int], None]
    record: Path | None = None
    realtime: bool = False

    def pace(self) -> Pace:
        """What waits between two instants."""
        return RealTime(self.stop, SystemClock()) if self.realtime else at_once


def replay(given: Inputs, config: Config, ways: Ways) -> Outcome:
    """Judges everything in `given` by the policies of `config`.

    Raises:
        ConfigError: The model is not there; the file to record to cannot be written.
        RecordingError: A line of the recording is not of the format.
    """
    outcome = Outcome(policy_set(config))
    with _recorded(ways, given) as keep:

        def take(entry: Entry) -> None:
            outcome.add(entry)
            keep(entry)

        if given.recording is not None:
            _rejudge(given.recording, outcome, take, ways)
        else:
            _play(given, config, take, ways, outcome)
        outcome.partial = ways.stop.is_set()
    return outcome


def _play(
    given: Inputs,
    config: Config,
    take: Callable[[Entry], None],
    ways: Ways,
    outcome: Outcome,
) -> None:
    player = Player(config)
    outcome.models += player.models
    for name, path in given.videos.items():
        if ways.stop.is_set():
            return
        length_s = length_of(name, path)

        def tell(
            at: float, name: str = name, length_s: float | None = length_s
        ) -> None:
            found = outcome.streams.get(name)
            ways.tell(name, at, length_s, found.samples if found else 0)

        player.play(stream_of(name), path, take, Watching(ways.stop, tell, ways.pace()))


def _rejudge(
    recording: Recording,
    outcome: Outcome,
    take: Callable[[Entry], None],
    ways: Ways,
) -> None:
    rerun = Rerun(outcome.policies)
    pace = ways.pace()
    for number, entry in enumerate(recording):
        pace(entry.at)
        if number % _LOOK_EVERY == 0:
            if ways.stop.is_set():
                break
            ways.tell("recording", entry.at, None, number)
        for judged in rerun.take(entry):
            take(entry_of(judged))
    for judged in rerun.finish():
        take(entry_of(judged))
    outcome.lost = recording.tally.lost
    outcome.shadow = recording.tally.shadow


def entry_of(judged: Judged) -> Entry:
    """What happened, with what the new policies made of it."""
    verdict = judged.step.verdict
    return Entry(
        kind=EntryKind.TICK if judged.entry is None else judged.entry.kind,
        stream=judged.stream,
        at=judged.at,
        verdict=verdict.state,
        reason=verdict.reason,
        scores=None if judged.entry is None else judged.entry.scores,
        decisions=tuple(map(decision_of, judged.step.actions)),
        session=0 if judged.entry is None else judged.entry.session,
    )


@contextmanager
def _recorded(ways: Ways, given: Inputs) -> Iterator[Callable[[Entry], None]]:
    """A way to write entries to the file that was asked for, if one was."""
    if ways.record is None:
        yield lambda _: None
        return
    session = Session("replay", given.epoch, sidecar="replay", version=__version__)
    try:
        with OneFile(ways.record, session) as file:
            yield file.write
            file.close("interrupted" if ways.stop.is_set() else "stopped")
    except OSError as exc:
        raise ConfigError(
            f"--record {ways.record}: cannot be written: {exc.strerror}"
        ) from exc
