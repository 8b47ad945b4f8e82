"""What the assembler must know of a codec."""

from collections.abc import Sequence
from typing import Protocol

from sidecar.domain import Codec


class Depacketizer(Protocol):
    """Puts the RTP payloads of one picture together again."""

    @property
    def codec(self) -> Codec:
        """Which one."""

    def starts(self, payload: bytes, *, first: bool) -> bool:
        """Whether `payload` surely begins an access unit; `first` of all packets."""

    def is_delta(self, payload: bytes) -> bool:
        """Whether the first `payload` of a picture tells that it is no keyframe."""

    def join(self, payloads: Sequence[bytes]) -> tuple[bytes, bool] | None:
        """Access unit and whether it is a keyframe; None if it shows nothing.

        Raises:
            ValueError: Not one whole access unit.
        """
