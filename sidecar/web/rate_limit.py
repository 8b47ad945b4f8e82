"""Token buckets, so that a flood of requests costs a bounded amount: pure."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen: `per_s` in the long run, `burst` at once."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("a rate needs per_s > 0 and burst >= 1")


class TokenBucket:
    """Takes at most `burst + per_s * t` things in any `t` seconds."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """0.0 if one more may happen now, else the seconds until one may."""
        earned = max(0.0, now - self._at) * self._rate.per_s
        self._level = min(float(self._rate.burst), self._level + earned)
        self._at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate.per_s


class ClientBuckets:
    """A bucket for each of the clients seen last; older ones are forgotten.

    A client forgotten and seen again starts with a full bucket, so put a bucket for
    all clients together behind it.
    """

    def __init__(self, rate: Rate, most_clients: int = 4096) -> None:
        self._rate = rate
        self._most = most_clients
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float) -> float:
        """As `TokenBucket.take`, for one client."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = TokenBucket(self._rate, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(now)
