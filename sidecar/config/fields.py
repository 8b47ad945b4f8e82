"""Field types that look beyond the YAML: files beside it, and secrets."""

import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

_MAX_SECRET_BYTES: Final = 64 * 1024
_PORT_MAX: Final = 65535
_ICE_URL: Final = re.compile(
    r"(?:stun|turns?):[A-Za-z0-9._-]+(?::(?P<port>[0-9]{1,5}))?(?P<query>\?.*)?"
)
_ICE_QUERIES: Final = {
    "stun": ("",),
    "turn": ("", "?transport=udp", "?transport=tcp"),
    "turns": ("", "?transport=tcp"),
}
UNSAID: Final = "unsaid"
"""Type of an error whose input must not be shown."""


def _base(info: ValidationInfo) -> Path:
    context = info.context or {}
    return Path(context.get("base", "."))


def _beside_config(path: Path, info: ValidationInfo) -> Path:
    return path if path.is_absolute() else _base(info) / path


def _must_exist(path: Path, info: ValidationInfo) -> Path:
    found = _beside_config(path, info)
    if not found.is_file():
        raise ValueError(f"there is no file {found}; create it or correct the path")
    return found


def _read_secret(value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 raw YAML
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise PydanticCustomError(  # the loader would show a ValueError's input
            UNSAID, "a secret is not written here: use {file: PATH} or {env: NAME}"
        )
    ((kind, name),) = value.items()
    if kind == "file" and isinstance(name, str):
        return SecretStr(_secret_from_file(_beside_config(Path(name), info)))
    if kind == "env" and isinstance(name, str):
        return SecretStr(_secret_from_env(name, info))
    raise ValueError("use {file: PATH} or {env: NAME}, each with a text")


def _secret_from_file(path: Path) -> str:
    try:
        raw = path.read_bytes()[: _MAX_SECRET_BYTES + 1]
    except OSError as exc:
        raise ValueError(f"cannot read secret file {path}: {exc.strerror}") from exc
    if len(raw) > _MAX_SECRET_BYTES:
        raise ValueError(f"secret file {path} is larger than {_MAX_SECRET_BYTES} bytes")
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"secret file {path} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"secret file {path} is empty")
    return text


def _secret_from_env(name: str, info: ValidationInfo) -> str:
    environ = (info.context or {}).get("environ", {})
    text = str(environ.get(name, "")).strip()
    if not text:
        raise ValueError(f"environment variable {name} is not set, or empty")
    return text


def _visible(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise PydanticCustomError(
            UNSAID, "a bearer token is visible ASCII without blanks"
        )
    return token


def _http_url(text: str) -> str:
    mend = "use http(s)://host[:port]/path, without user and blanks"
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError as exc:
        raise ValueError(f"{exc}; {mend}") from None
    plain = text.isprintable() and " " not in text
    if not (usable and plain and parts.scheme in {"http", "https"}):
        raise ValueError(mend)
    return text


def _inference_url(text: str) -> str:
    mend = "use http://, https://, grpc:// or grpcs:// with host:port"
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and bool(parts.port) and "@" not in parts.netloc
    except ValueError as exc:
        raise ValueError(f"{exc}; {mend}") from None
    grpc = parts.scheme in {"grpc", "grpcs"}
    bare = not (parts.query or parts.fragment or (grpc and parts.path.strip("/")))
    if not (usable and bare and (grpc or parts.scheme in {"http", "https"})):
        raise ValueError(mend)
    return text


def _ice_url(text: str) -> str:
    scheme, found = text.partition(":")[0], _ICE_URL.fullmatch(text)
    if (
        found is None
        or not 0 < int(found["port"] or 3478) <= _PORT_MAX
        or (found["query"] or "") not in _ICE_QUERIES[scheme]
    ):
        raise ValueError(
            "use stun:HOST:PORT, turn:HOST:PORT or turns:HOST:PORT; for turn "
            "?transport=udp or tcp may follow"
        )
    return text


Secret = Annotated[SecretStr, BeforeValidator(_read_secret)]
"""`{file: PATH}` or `{env: NAME}`; the text itself, stripped."""

BearerToken = Annotated[
    SecretStr, BeforeValidator(_read_secret), AfterValidator(_visible)
]
"""A secret that can be sent in an Authorization header."""

HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An address that can be connected to; no user part, for that would be a secret."""

InferenceUrl = Annotated[str, AfterValidator(_inference_url)]
"""A server that speaks the Open Inference Protocol; the scheme says how."""

IceUrl = Annotated[str, AfterValidator(_ice_url)]
"""A STUN or TURN server's (RFC 7064, RFC 7065), by name or IPv4 address."""

ExistingFile = Annotated[Path, AfterValidator(_must_exist)]
"""A file that must be there, relative to the configuration file."""

BesideConfig = Annotated[Path, AfterValidator(_beside_config)]
"""A path, relative to the configuration file."""
