"""Changing policies: tried on the past, in the shadow, applied and undone."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from sidecar.app.house import House
from sidecar.app.keepsakes import Keepsakes
from sidecar.app.reload import Reloader
from sidecar.app.streams import Streams
from sidecar.app.what_if import Past
from sidecar.clock import Clock
from sidecar.config import Config, load
from sidecar.config.loader import files_of
from sidecar.config.policies import PolicyConfig
from sidecar.config.policy_changes import Change, Policies, changed, in_words
from sidecar.config.policy_versions import PolicyVersions, Version
from sidecar.decide.policyset import Policy, PolicySet
from sidecar.errors import ConfigError, VersionConflict
from sidecar.log import get_logger
from sidecar.web.callers import Caller
from sidecar.web.deeds import Deeds, deed_by
from sidecar.web.policy_schemas import (
    ApplyRequest,
    Changes,
    CurrentView,
    HistoryView,
    PolicyForm,
    PreviewView,
    RuleForm,
    UndoRequest,
    VersionView,
    WhatIfView,
)
from sidecar.web.problems import (
    NotConfirmed,
    OtherVersion,
    PolicyConflict,
    RequestRefused,
)

log = get_logger(__name__)

_NO_FILE = (
    "the policies stand in the configuration itself; move them to a file of their own "
    "(policies: policies.yaml), and they can be changed here"
)


@dataclass(frozen=True, slots=True)
class _Base:
    """What is in force on disk; `versions` only if it can be changed here.

    Attributes:
        why_not: Set exactly when it cannot.
    """

    config: Config
    versions: PolicyVersions | None
    version: Version | None
    why_not: str | None = None

    @property
    def etag(self) -> str | None:
        """Of the version."""
        return None if self.version is None else self.version.etag


@dataclass(slots=True)
class AppPolicyDesk:
    """Answers and acts for `sidecar.web`; see `policy_routes.PolicyDesk`.

    Attributes:
        running: The configuration as it was started.
        path: Its file; None: there is none, and nothing can be changed.
        reloader: Puts into force what was written; set with `path`.
    """

    running: Config
    path: Path | None
    streams: Streams
    house: House
    past: Past
    deeds: Deeds
    clock: Clock
    keepsakes: Keepsakes
    reloader: Reloader | None = None
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self) -> CurrentView:
        """What is in force. Raises PolicyConflict if the file is refused at present."""
        base = await self._base()
        shadow = self.house.shadow.policies
        return CurrentView(
            writable=base.versions is not None,
            why_not=base.why_not,
            version=None if base.version is None else _version_view(base.version),
            policies=[_form(policy.to_policy()) for policy in base.config.policies],
            shadow=None if shadow is None else [_form(p) for p in shadow.policies],
        )

    async def history(self) -> HistoryView:
        """All versions, newest first."""
        base = await self._base()
        if base.versions is None:
            return HistoryView(versions=[])
        found = await asyncio.to_thread(base.versions.history)
        return HistoryView(versions=[_version_view(v) for v in reversed(found)])

    async def preview(self, changes: Changes) -> PreviewView:
        """What would change, in words. Raises RequestRefused."""
        base = await self._base()
        new = _checked(base.config, changes)
        return PreviewView(etag=base.etag, words=in_words(base.config.policies, new))

    async def preview_undo(self) -> PreviewView:
        """What an undo would change. Raises PolicyConflict."""
        base = await self._base()
        restores, new = await self._before(base)
        words = in_words(base.config.policies, new)
        return PreviewView(etag=base.etag, words=words, restores=restores)

    async def what_if(self, changes: Changes) -> WhatIfView:
        """What would have happened. Raises RequestRefused."""
        base = await self._base()
        new = _set_of(_checked(base.config, changes))
        return await self.past.compare(_set_of(base.config.policies), new)

    async def apply(
        self, request: ApplyRequest, caller: Caller, seen: str
    ) -> VersionView:
        """Makes the changes a new version, in force when this returns.

        Raises:
            ControlError: It cannot be, or somebody else was quicker.
            AuditFailed: It could not be noted; nothing was changed.
        """
        async with self._changing:
            base = await self._base_for(seen)
            new = _checked(base.config, request.changes)
            words = in_words(base.config.policies, new)
            _require_confirmed(words, request.confirmed)
            draft = self._draft(caller, request.reason, words)
            return await self._put(base, new, draft, caller, "policy.apply")

    async def undo(
        self, request: UndoRequest, caller: Caller, seen: str
    ) -> VersionView:
        """Makes what held before a new version. Raises as `apply`."""
        async with self._changing:
            base = await self._base_for(seen)
            before, new = await self._before(base)
            words = in_words(base.config.policies, new)
            _require_confirmed(words, request.confirmed)
            draft = self._draft(caller, request.reason, words, before + 1)
            return await self._put(base, new, draft, caller, "policy.undo")

    async def try_as_shadow(self, changes: Changes) -> CurrentView:
        """Puts the policies in force with these changes into the shadow.

        Raises:
            AuditFailed: It could not be kept for the next start; nothing was changed.
        """
        base = await self._base()
        tried = _checked(base.config, changes)
        new = _set_of(tried)
        async with self._changing:
            await asyncio.to_thread(self.keepsakes.keep_shadow, tried)
            self._sit(new)
        log.warning("shadow_set", policies=[policy.name for policy in new.policies])
        return await self.current()

    def _sit(self, new: PolicySet | None) -> None:
        self.house.shadow.take(new, self.streams, self.clock.monotonic())

    async def end_shadow(self) -> None:
        """Nothing is in the shadow any more. Raises AuditFailed."""
        async with self._changing:
            await asyncio.to_thread(self.keepsakes.keep_shadow, ())
            self._sit(None)
        log.warning("shadow_ended")

    async def _put(
        self,
        base: _Base,
        new: Policies,
        draft: Version,
        caller: Caller,
        act: str,
    ) -> VersionView:
        assert base.versions is not None
        assert base.version is not None
        detail = {"reason": draft.reason, "words": list(draft.words)}
        await self.deeds.note(
            deed_by(caller, act, f"after v{base.version.number}", detail)
        )
        try:
            version = await asyncio.to_thread(
                base.versions.put, new, draft, base.version.etag
            )
        except VersionConflict as exc:
            raise OtherVersion(str(exc)) from None
        except ConfigError as exc:
            raise PolicyConflict(exc.faults[0]) from None
        if self.reloader is not None and not await self.reloader.reload():
            raise PolicyConflict(f"written, but not in force: {self.reloader.fault}")
        return _version_view(version)

    def _draft(
        self,
        caller: Caller,
        reason: str,
        words: Iterable[str],
        undoes: int | None = None,
    ) -> Version:
        return Version(0, self._now(), caller.name, reason, "", tuple(words), undoes)

    def _now(self) -> str:
        wall = self.clock.wall().isoformat(timespec="milliseconds")
        return wall.replace("+00:00", "Z")

    async def _base(self) -> _Base:
        """Read anew: the file is the truth. Raises PolicyConflict."""
        try:
            return await asyncio.to_thread(self._read)
        except ConfigError as exc:
            raise PolicyConflict(
                f"the configuration on disk is refused, mend it first: {exc.faults[0]}"
            ) from None

    async def _base_for(self, seen: str) -> _Base:
        base = await self._base()
        if base.versions is None or base.version is None:
            raise PolicyConflict(base.why_not or _NO_FILE)
        if base.version.etag != seen:
            raise OtherVersion(_told(base.version))
        return base

    def _read(self) -> _Base:
        """In a thread."""
        if self.path is None:
            return _Base(self.running, None, None, _NO_FILE)
        config, files = load(self.path), files_of(self.path)
        if len(files) == 1:
            return _Base(config, None, None, _NO_FILE)
        versions = PolicyVersions(files[1])
        try:
            return _Base(config, versions, versions.current(self._now()))
        except ConfigError as exc:  # a folder mounted read-only, for instance
            return _Base(config, None, None, exc.faults[0])

    async def _before(self, base: _Base) -> tuple[int, Policies]:
        """What held before what holds: its version. Raises PolicyConflict."""
        if base.versions is None or base.version is None:
            raise PolicyConflict(base.why_not or _NO_FILE)
        known = {v.number: v for v in await asyncio.to_thread(base.versions.history)}
        number = _meant(base.version, known) - 1
        if number < 1:
            raise PolicyConflict("this is the first version: there is none before it")
        try:
            return number, await asyncio.to_thread(base.versions.policies, number)
        except ConfigError as exc:
            raise PolicyConflict(exc.faults[0]) from None


def _meant(version: Version, known: Mapping[int, Version]) -> int:
    """The version whose text holds: an undo brings back the one before it undid."""
    while version.undoes is not None and version.undoes - 1 in known:
        version = known[version.undoes - 1]
    return version.number


def _told(version: Version) -> str:
    words = " ".join(version.words) or "The file was edited."
    return (
        f"{version.author} made version {version.number} at {version.at} "
        f"({version.reason}). {words} Look again, then decide anew."
    )


def _checked(config: Config, changes: Changes) -> Policies:
    """The whole configuration with the changes is checked. Raises RequestRefused."""
    wanted = [Change.model_validate(change.model_dump()) for change in changes]
    try:
        new = changed(config.policies, wanted)
        fields = {name: getattr(config, name) for name in config.model_fields_set}
        Config.model_validate({**fields, "policies": new})
    except ConfigError as exc:
        raise RequestRefused("; ".join(exc.faults)) from None
    except ValidationError as exc:
        message = exc.errors()[0]["msg"].removeprefix("Value error, ")
        raise RequestRefused(message) from None
    return new


def _require_confirmed(words: Sequence[str], confirmed: Sequence[str]) -> None:
    if not words:
        raise RequestRefused("nothing would change")
    if list(words) != list(confirmed):
        raise NotConfirmed(f"what would change is: {' '.join(words)}")


def _set_of(policies: Sequence[PolicyConfig]) -> PolicySet:
    return PolicySet(tuple(policy.to_policy() for policy in policies))


def _version_view(version: Version) -> VersionView:
    return VersionView(
        number=version.number,
        etag=version.etag,
        at=version.at,
        author=version.author,
        reason=version.reason,
        words=list(version.words),
        undoes=version.undoes,
    )


def _form(policy: Policy) -> PolicyForm:
    return PolicyForm(
        name=policy.name,
        ids=list(policy.match.ids),
        labels=dict(policy.match.labels),
        dry_run=policy.dry_run,
        stale_after_s=policy.stale_after_s,
        rules=[
            RuleForm(
                name=rule.name,
                category=rule.category.value,
                action=rule.action.value,
                enter=rule.enter,
                exit=rule.exit,
                hits=rule.hits,
                of=rule.of,
                within_s=rule.within_s,
                cooldown_s=rule.cooldown_s,
            )
            for rule in policy.rules
        ],
    )
