"""Where streams are received and sampled: in this process, or in workers."""

import random
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from sidecar.arena import PictureArena
from sidecar.clock import Clock
from sidecar.domain import Formats, PictureFormat
from sidecar.ingest.peer import PeerFactory
from sidecar.ingest.source import Connector
from sidecar.ingest.video_file import FileConnector
from sidecar.sample.listeners import Listeners
from sidecar.sample.sampler import Sampler, SamplerSettings
from sidecar.sample.stream_sampler import StreamSampler
from sidecar.stats import Stats
from sidecar.workers.calls import OpenFile
from sidecar.workers.pool import Pool
from sidecar.workers.remote import RemoteFile, RemotePeer, RemoteSampler


@dataclass(frozen=True, slots=True)
class FileInput:
    """A video file to be played as if it were live.

    Attributes:
        path: Of a file in any container FFmpeg reads, with VP8 or H.264 in it.
        loop: Begins again at its end, for ever.
        realtime: Each picture at its time; else as fast as they are taken.
    """

    path: Path
    loop: bool
    realtime: bool


class Intake(Protocol):
    """Receives and samples; what its parts yield fits its own samplers only."""

    @property
    def peers(self) -> PeerFactory | None:
        """Makes WebRTC connections; None: real ones, in this process."""

    def file(self, stream_id: str, file: FileInput) -> Connector:
        """A way to a video file."""

    def sampler(self, stream_id: str, settings: SamplerSettings) -> StreamSampler:
        """One stream's sampler, over all of its connections."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Everything happens here, on this loop and in these threads.

    Attributes:
        fmt: What the model wants to see.
        decoders: Threads to decode in; they bound how many decode at once.
        clock: For pacing and time stamps.
        stats: Counts.
        arena: Where pictures are put; each in memory of its own if None.
        formats: What all models want to see at present; None: `fmt` alone, for ever.
        listeners: Shared by all streams.
    """

    fmt: PictureFormat
    decoders: Executor
    clock: Clock
    stats: Stats
    arena: PictureArena | None = None
    formats: Formats | None = None
    listeners: Listeners = field(default_factory=Listeners)

    @property
    def peers(self) -> PeerFactory | None:
        """Real ones, in this process."""
        return None

    def file(self, stream_id: str, file: FileInput) -> Connector:
        """A way to a video file."""
        return FileConnector(
            stream_id,
            file.path,
            loop=file.loop,
            realtime=file.realtime,
            clock=self.clock,
            stats=self.stats,
        )

    def sampler(self, stream_id: str, settings: SamplerSettings) -> StreamSampler:
        """One stream's sampler, over all of its connections."""
        return Sampler(
            stream_id,
            settings,
            self.fmt,
            self.decoders,
            self.clock,
            self.stats,
            random.random,
            self.arena,
            self.formats,
            self.listeners,
        )


@dataclass(frozen=True, slots=True)
class InWorkers:
    """Everything happens in worker processes; samples cross through shared memory.

    Attributes:
        pool: The workers.
        clock: For waiting and pacing.
        stats: Counts.
    """

    pool: Pool
    clock: Clock
    stats: Stats

    @property
    def peers(self) -> PeerFactory | None:
        """Connections in a worker; what is said over HTTP is said here."""
        return partial(RemotePeer, self.pool)

    def file(self, stream_id: str, file: FileInput) -> Connector:
        """A way to a video file."""
        request = OpenFile(file.path, file.loop, file.realtime)
        return RemoteFile(self.pool, stream_id, request)

    def sampler(self, stream_id: str, settings: SamplerSettings) -> StreamSampler:
        """One stream's sampler, over all of its connections."""
        return RemoteSampler(self.pool, stream_id, settings, self.clock, self.stats)
