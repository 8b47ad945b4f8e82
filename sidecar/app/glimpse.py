"""A blurred, grey glimpse of a stream's next picture, for a person who asked."""

import asyncio
from dataclasses import dataclass
from typing import Final

from sidecar.app.streams import Streams
from sidecar.domain import Picture
from sidecar.oversight.thumbnail import Grey, blurred, png
from sidecar.web.problems import NoPicture, ThumbnailsOff, UnknownStream

_WAIT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Glimpses:
    """Makes them; nothing of a picture is kept.

    Attributes:
        streams: Whose pictures.
        allowed: As `control.thumbnails` says.
    """

    streams: Streams
    allowed: bool

    async def of(self, stream_id: str) -> bytes:
        """PNG of the next picture that is looked at.

        Raises:
            ThumbnailsOff: They are not configured.
            UnknownStream: It is not under watch.
            NoPicture: None came in time, or somebody else is asking just now.
        """
        if not self.allowed:
            raise ThumbnailsOff("control.thumbnails is off; no picture is ever shown")
        watch = self.streams.get(stream_id)
        if watch is None:
            raise UnknownStream(f"no stream {stream_id!r}")
        if watch.peek is not None:
            raise NoPicture("somebody else is looking just now; try again")
        seen: asyncio.Future[Grey] = asyncio.get_running_loop().create_future()

        def take(picture: Picture) -> None:
            watch.peek = None
            seen.set_result(blurred(picture))

        watch.peek = take
        try:
            async with asyncio.timeout(_WAIT_S):
                grey = await seen
        except TimeoutError:
            raise NoPicture(f"no picture came within {_WAIT_S:g} s") from None
        finally:
            watch.peek = None
        return png(grey)
