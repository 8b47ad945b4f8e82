"""What the pipeline needs of a stream's sampler, wherever its pictures are decoded."""

from collections.abc import AsyncGenerator
from typing import Protocol

from sidecar.domain import Sample
from sidecar.sample.budget import Demand
from sidecar.sample.subject import SamplerSettings, Source


class StreamSampler(Protocol):
    """Samples one stream, over all of its connections, here or in a worker."""

    @property
    def settings(self) -> SamplerSettings:
        """How the stream is sampled."""

    @property
    def decodes_all(self) -> bool:
        """Whether everything, not keyframes alone, is decoded at present."""

    @property
    def interval_s(self) -> float:
        """The mean interval that holds at present."""

    def observe(self, score: float) -> None:
        """Takes the highest score of a sample; starts or prolongs a burst."""

    def burst(self) -> None:
        """Somebody reported the stream: samples it fast for a while."""

    def demand(self) -> Demand:
        """How many samples a second the stream should have, and how badly."""

    def pace(self, interval_s: float) -> None:
        """Samples no more often than this in the mean; 0: as the settings say."""

    def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """Yields the samples of one connection as they fall due; close it after use.

        While the caller holds a sample the next one is not taken.

        Raises:
            StreamError: The source's.
        """

    def close(self) -> None:
        """The stream is gone for good."""
