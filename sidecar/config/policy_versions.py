"""Every version of a policies file: who made it, when and why, each kept whole.

The policies file itself is the one truth, for it is what a start reads. Beside it, in
`NAME.versions/`, lie `history.jsonl` and the text of each version. Which version is in
force is told by the file's hash: after a crash between two writes, and after somebody
edited the file by hand, which becomes a version of its own.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from sidecar.config.lines import parse
from sidecar.config.policies import PolicyConfig
from sidecar.config.yaml_text import rewritten
from sidecar.errors import ConfigError, VersionConflict

_HISTORY: Final = "history.jsonl"
_BY_HAND: Final = "edited by hand"
_HEAD: Final = re.compile(r"(?m)^# Version .*\n# Written by the operator's page.*\n")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the policies.

    Attributes:
        number: From 1 on.
        at: UTC, RFC 3339.
        author: A token's name; `file` for an edit by hand.
        reason: In the author's words.
        hash: `sha256:…` of the file's bytes.
        words: What it changed.
        undoes: The version it takes back, if it does.
    """

    number: int
    at: str
    author: str
    reason: str
    hash: str
    words: tuple[str, ...] = ()
    undoes: int | None = None

    @property
    def etag(self) -> str:
        """For If-Match."""
        return f'"{self.number}-{self.hash[7:19]}"'


class PolicyVersions:
    """The versions of one policies file. Blocks: call it off the loop."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._folder = file.with_name(f"{file.name}.versions")

    def current(self, at: str) -> Version:
        """The one in force; an edit by hand is taken up, as found at `at`.

        Raises:
            ConfigError: The files cannot be read or written.
        """
        try:
            raw, history = self.file.read_bytes(), self.history()
            known = [v for v in history if v.hash == _hash(raw)]
            if known:
                return known[-1]
            reason = _BY_HAND if history else "as it was found"
            number = history[-1].number + 1 if history else 1
            found = Version(number, at, "file", reason, _hash(raw))
            self._record(found, raw)
        except OSError as exc:
            raise _unusable(exc) from exc
        return found

    def history(self) -> Sequence[Version]:
        """All, oldest first; lines that are not as written are passed over."""
        try:
            lines = (self._folder / _HISTORY).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [found for line in lines if (found := _version_of(line)) is not None]

    def policies(self, number: int) -> tuple[PolicyConfig, ...]:
        """What stands in a version. Raises ConfigError if it is not there."""
        path = self._folder / _text_name(number)
        try:
            document = parse(path, path.read_bytes())
            return _policies(document.value)
        except (OSError, ValueError, TypeError) as exc:
            raise ConfigError(f"version {number} cannot be read: {exc}") from exc

    def put(
        self, policies: Sequence[PolicyConfig], draft: Version, expected: str
    ) -> Version:
        """Makes `policies` the new version, in the file too, whole or not at all.

        Args:
            policies: Checked.
            draft: Who, when and why; number and hash are set here.
            expected: The etag of the version it rests on.

        Raises:
            VersionConflict: Another one is in force.
            ConfigError: The files cannot be written.
        """
        current = self.current(draft.at)
        if current.etag != expected:
            raise VersionConflict(current.number, _told(current))
        number = self.history()[-1].number + 1
        try:
            before = self.file.read_bytes()
            raw = _text(policies, replace(draft, number=number), before)
            version = replace(draft, number=number, hash=_hash(raw))
            self._record(version, raw)
            _replace_file(self.file, raw)
        except OSError as exc:
            raise _unusable(exc) from exc
        return version

    def _record(self, version: Version, raw: bytes) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        _replace_file(self._folder / _text_name(version.number), raw)
        line = json.dumps(asdict(version)).encode() + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self._folder / _HISTORY, flags, 0o600)
        try:
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)


def _told(version: Version) -> str:
    """What somebody else did meanwhile."""
    what = " ".join(version.words) or "The file was edited."
    return (
        f"version {version.number} was made by {version.author} at {version.at} "
        f"({version.reason}). {what}"
    )


def _text(policies: Sequence[PolicyConfig], version: Version, before: bytes) -> bytes:
    """A whole file; what stays as it was in `before` keeps its comments."""
    plain = [p.model_dump(mode="json", exclude_defaults=True) for p in policies]
    body = _kept(policies, plain, before) or yaml.safe_dump(
        plain, sort_keys=False, allow_unicode=True
    )
    reason = json.dumps(version.reason)[1:-1]  # one line, whatever was typed
    return (
        f"# Version {version.number}, {version.at}, by {version.author}: {reason}\n"
        f"# Written by the operator's page; earlier versions are kept beside.\n{body}"
    ).encode()


def _kept(
    policies: Sequence[PolicyConfig], plain: list[Any], before: bytes
) -> str | None:
    """The text of `before` with `policies` in it; None if it would say less or more."""
    whole = [p.model_dump(mode="json") for p in policies]
    try:
        body = rewritten(_HEAD.sub("", before.decode()), whole, plain)
        faithful = _policies(yaml.safe_load(body)) == tuple(policies)
    except (ValueError, TypeError, yaml.YAMLError):
        return None
    return body if faithful else None


def _policies(value: Any) -> tuple[PolicyConfig, ...]:  # noqa: ANN401 (YAML)
    """Raises ValueError or TypeError if it is no list of policies."""
    return tuple(map(PolicyConfig.model_validate, value))


def _version_of(line: bytes) -> Version | None:
    try:
        value: Any = json.loads(line)
        return Version(**{**value, "words": tuple(value["words"])})
    except (ValueError, TypeError, KeyError):
        return None


def _text_name(number: int) -> str:
    return f"{number:06d}.yaml"


def _hash(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _replace_file(path: Path, raw: bytes) -> None:
    """The whole new file or the whole old one, with the old one's rights."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    fresh = path.with_name(f".{path.name}.new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(file, "wb") as out:
        out.write(raw)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(exc: OSError) -> ConfigError:
    return ConfigError(
        f"{exc.filename}: {exc.strerror}; the policies file and its folder must be "
        "readable and writable by this user"
    )
