"""Field types that look beyond the YAML: files beside it, and secrets."""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

_MAX_SECRET_BYTES: Final = 64 * 1024


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
        raise ValueError(
            "a secret is not written here: use {file: PATH} or {env: NAME}"
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


Secret = Annotated[SecretStr, BeforeValidator(_read_secret)]
"""`{file: PATH}` or `{env: NAME}`; the text itself, stripped."""

ExistingFile = Annotated[Path, AfterValidator(_must_exist)]
"""A file that must be there, relative to the configuration file."""

BesideConfig = Annotated[Path, AfterValidator(_beside_config)]
"""A path, relative to the configuration file."""
