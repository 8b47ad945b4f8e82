"""The configuration is read again when its files change or on SIGHUP.

Policies, streams and models follow, whole or not at all; everything else needs a
restart. Policies that come with other models are put into effect as these take over.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from sidecar.app.changeover import Changeover, Wish
from sidecar.app.models import Manifests, load_manifests
from sidecar.app.spec import Origin
from sidecar.app.stages import StreamFactory, policy_set
from sidecar.app.streams import Streams
from sidecar.classify.comparison import Limits
from sidecar.config import Config, load
from sidecar.config.loader import files_of
from sidecar.decide.policy import hits_in
from sidecar.decide.policyset import PolicySet
from sidecar.domain import Scores
from sidecar.errors import ConfigError
from sidecar.log import get_logger

log = get_logger(__name__)

POLL_S: Final = 2.0
_FOLLOWED: Final = frozenset(
    {"policies", "streams", "model", "models", "models_dir", "swap"}
)
_Fingerprint = tuple[tuple[str, int, int], ...]


class Reloader:
    """Watches the configuration's files.

    Args:
        path: The configuration file.
        streams: Whose policies are swapped, and which come and go.
        factory: Builds the streams that are new; its configuration is the running one.
        changeover: Exchanges the models, if the configuration names others.
        wanted: Set from outside (SIGHUP) to read again now.
    """

    def __init__(
        self,
        path: Path,
        streams: Streams,
        factory: StreamFactory,
        changeover: Changeover,
        wanted: asyncio.Event,
    ) -> None:
        self._path = path
        self._streams = streams
        self._factory = factory
        self._changeover = changeover
        self._stats = factory.stats
        self._followed = {stream.id: stream for stream in factory.config.streams}
        self._wanted = wanted
        self.fault: str | None = None

    async def run(self) -> None:
        """Polls and reloads, for ever."""
        seen = await asyncio.to_thread(fingerprint, self._path)
        while True:
            forced = await self._wait()
            now = await asyncio.to_thread(fingerprint, self._path)
            if forced or now != seen:
                seen = now
                await self.reload()

    async def _wait(self) -> bool:
        """Waits for the next poll or for SIGHUP; whether it was the latter."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._wanted.wait()
        except TimeoutError:
            return False
        self._wanted.clear()
        return True

    async def reload(self) -> bool:
        """Reads again now. A fault leaves everything as it was, loudly."""
        try:
            config = await asyncio.to_thread(load, self._path)
            manifests = await asyncio.to_thread(load_manifests, config)
        except ConfigError as exc:
            self.fault = exc.faults[0]
            self._stats.policy_reloads.labels("refused").inc()
            log.error("configuration_refused", faults=list(exc.faults))
            return False
        self.fault = None
        self._model(config, manifests)
        self._follow(config)
        if left := _unfollowed(self._factory.config, config):
            log.warning("restart_needed", keys=left)
        return True

    def _model(self, config: Config, manifests: Manifests) -> None:
        """Policies at once if the models stay; else when the others take over."""
        policies = policy_set(config)
        wish = Wish(
            manifests,
            Limits(**config.swap.model_dump()),
            partial(self._hits, policies),
            partial(self._swap, policies),
        )
        if wish.refs == self._changeover.roster.refs:
            self._changeover.cancel()
            self._swap(policies)
        else:
            self._changeover.wish(wish)

    def _hits(
        self, policies: PolicySet, stream_id: str, scores: Scores
    ) -> frozenset[str]:
        """The rungs of a stream's policy in `policies` that would hear a hit."""
        watch = self._streams.get(stream_id)
        policy = policies.select(watch.stream) if watch else None
        return frozenset() if policy is None else hits_in(policy, scores)

    def _swap(self, policies: PolicySet) -> None:
        changes = _changes(_hashes(self._streams.policies), _hashes(policies))
        self._streams.apply_policies(policies)
        self._stats.policy_reloads.labels("swapped").inc()
        log.warning("policies_swapped", **changes)

    def _follow(self, config: Config) -> None:
        """Starts, replaces and stops the streams whose entry in the file changed."""
        before, wanted = self._followed, {s.id: s for s in config.streams}
        self._followed = dict(wanted)
        for stream_id in sorted(before.keys() | wanted.keys()):
            settings = wanted.get(stream_id)
            if before.get(stream_id) == settings:
                continue
            spec = self._streams.spec(stream_id)
            if spec is not None and spec.origin is not Origin.CONFIG:
                if settings is not None:
                    log.warning("stream_taken", stream=stream_id, origin=spec.origin)
                self._followed.pop(stream_id, None)  # tried again at the next reload
                continue
            new = None if settings is None else self._factory.from_config(settings)
            log.warning("stream_changed" if new else "stream_removed", stream=stream_id)
            self._streams.exchange(stream_id, new)


def _unfollowed(running: Config, config: Config) -> list[str]:
    """The keys that changed and that only a restart puts into effect."""
    return [
        key
        for key in Config.model_fields
        if key not in _FOLLOWED and getattr(running, key) != getattr(config, key)
    ]


def _hashes(policies: PolicySet) -> dict[str, str]:
    return {policy.name: policy.hash for policy in policies.policies}


def _changes(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str]]:
    return {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(
            name for name in before.keys() & after.keys() if before[name] != after[name]
        ),
    }


def fingerprint(path: Path) -> _Fingerprint:
    """Name, size and change time of the files that a configuration is made of."""
    found = []
    for file in files_of(path):
        try:
            facts = file.stat()
        except OSError:
            found.append((str(file), -1, -1))
        else:
            found.append((str(file), facts.st_size, facts.st_mtime_ns))
    return tuple(found)
