"""What the sampler pulls encoded pictures from, however they are received."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from sidecar.domain import AccessUnit, Codec, Want

__all__ = ["AccessUnitSource", "Connector", "Want"]


@runtime_checkable
class AccessUnitSource(Protocol):
    """One stream's encoded pictures, in decoding order, whole or not at all."""

    @property
    def codec(self) -> Codec:
        """How the pictures are encoded; may change between two keyframes."""

    def want(self, want: Want) -> None:
        """Sets what is delivered from now on; `ALL` starts at the next keyframe."""

    def rest(self, until: float) -> None:
        """Nothing is needed before the monotonic instant `until`.

        Until then pictures may be left out, as if they had not been sent; from then on
        they come again, beginning with a keyframe. An earlier `until`, `want(ALL)` and
        `request_keyframe` end the rest at once.
        """

    def request_keyframe(self) -> None:
        """Asks the sender for a keyframe, where the source has a way to."""

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        """Yields until the peer leaves or the file ends.

        Raises:
            StreamError: The stream broke.
        """


class Connector(Protocol):
    """A way to one stream; each `connect` is one attempt."""

    def connect(self) -> AbstractAsyncContextManager[AccessUnitSource]:
        """Connects on entry and closes everything on exit.

        Raises:
            StreamUnavailable: On entry; trying again may help.
            StreamUnsupported: On entry; trying again does not help.
        """
