"""The configuration is read again when its files change or on SIGHUP.

Policies and streams follow, whole or not at all; everything else needs a restart.
"""

import asyncio
from pathlib import Path
from typing import Final

from sidecar.app.stages import StreamFactory, load_model, policy_set
from sidecar.app.streams import Origin, Streams
from sidecar.config import Config, load
from sidecar.config.loader import files_of
from sidecar.decide.policyset import PolicySet
from sidecar.errors import ConfigError
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)

POLL_S: Final = 2.0
_Fingerprint = tuple[tuple[str, int, int], ...]


class Reloader:
    """Watches the configuration's files.

    Args:
        path: The configuration file.
        streams: Whose policies are swapped, and which come and go.
        factory: Builds the streams that are new.
        stats: Counts `policy_reloads`.
        wanted: Set from outside (SIGHUP) to read again now.
    """

    def __init__(
        self,
        path: Path,
        streams: Streams,
        factory: StreamFactory,
        stats: Stats,
        wanted: asyncio.Event,
    ) -> None:
        self._path = path
        self._streams = streams
        self._factory = factory
        self._stats = stats
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
            config = await asyncio.to_thread(_read, self._path)
        except ConfigError as exc:
            self.fault = exc.faults[0]
            self._stats.policy_reloads.labels("refused").inc()
            log.error("configuration_refused", faults=list(exc.faults))
            return False
        self.fault = None
        self._swap(policy_set(config))
        self._follow(config)
        return True

    def _swap(self, policies: PolicySet) -> None:
        changes = _changes(_hashes(self._streams.policies), _hashes(policies))
        self._streams.apply_policies(policies)
        self._stats.policy_reloads.labels("swapped").inc()
        log.warning("policies_swapped", **changes)

    def _follow(self, config: Config) -> None:
        """Starts, replaces and stops the streams that stand in the file."""
        wanted = {stream.id: stream for stream in config.streams}
        for watch in self._streams:
            spec = self._streams.spec(watch.stream.id)
            if spec is None or spec.origin is not Origin.CONFIG:
                wanted.pop(watch.stream.id, None)
            elif wanted.get(watch.stream.id) == spec.settings:
                del wanted[watch.stream.id]
            elif watch.stream.id not in wanted:
                log.warning("stream_removed", stream=watch.stream.id)
                self._streams.exchange(watch.stream.id, None)
        for stream in wanted.values():
            log.warning("stream_changed", stream=stream.id)
            self._streams.exchange(stream.id, self._factory.from_config(stream))


def _read(path: Path) -> Config:
    """A wholly valid configuration. Raises ConfigError."""
    config = load(path)
    load_model(config)
    return config


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
