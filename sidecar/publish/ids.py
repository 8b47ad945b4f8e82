"""UUIDv7 (RFC 9562, 5.7): the idempotency keys of actions, sortable by time."""

import re
import secrets
import uuid
from collections.abc import Callable
from typing import Final

from sidecar.clock import Clock

_ENTROPY_BYTES: Final = 10
_ACTION_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """The UUIDv7 of `unix_ms` with `entropy` (10 bytes) as its random part."""
    bits = int.from_bytes(entropy[:_ENTROPY_BYTES], "big")
    rand_a = bits >> 68 & 0xFFF
    rand_b = bits & (1 << 62) - 1
    stamp = unix_ms & (1 << 48) - 1
    value = stamp << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    return str(uuid.UUID(int=value))


def is_action_id(text: str) -> bool:
    """Whether `text` is a UUIDv7 as the sidecar writes them: lower case, dashes."""
    return _ACTION_ID.fullmatch(text) is not None


class Ids:
    """A fresh id for each action.

    Args:
        clock: For the time part.
        entropy: Gives that many random bytes.
    """

    def __init__(
        self, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._clock = clock
        self._entropy = entropy

    def new(self) -> str:
        """An id never given before."""
        unix_ms = int(self._clock.wall().timestamp() * 1000)
        return uuid7(unix_ms, self._entropy(_ENTROPY_BYTES))
