"""Hugging Face's `preprocessor_config.json`, in a manifest's words. Pure.

What is stated there about size, crop, rescaling and normalisation becomes keys of the
manifest's `input`. What has no equal here is refused, never guessed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.errors import ManifestError

MAX_BYTES: Final = 64 * 1024
_PILLOW: Final = {0: "point", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "area"}

_Side = Annotated[int, Field(ge=8, le=4096)]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Part(BaseModel):
    """Keys that are not read are passed over: there are dozens."""

    model_config = ConfigDict(frozen=True)


class _Size(_Part):
    """Both sides, or the shorter one."""

    height: _Side | None = None
    width: _Side | None = None
    shortest_edge: _Side | None = None


class _Config(_Part):
    do_resize: bool = True
    size: _Size | _Side | None = None
    resample: int = 2
    do_center_crop: bool | None = None
    crop_size: _Size | _Side | None = None
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = None
    do_rescale: bool = True
    rescale_factor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1 / 255
    do_normalize: bool = True
    image_mean: _Three | None = None
    image_std: _Three | None = None
    do_flip_channel_order: bool = False
    do_pad: bool | None = False


def read(path: Path) -> dict[str, Any]:
    """What the file says, as keys of a manifest's `input`.

    Raises:
        ManifestError: It cannot be read, or says what has no equal here.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ManifestError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_BYTES:
        raise ManifestError(f"{path}: larger than {MAX_BYTES >> 10} KiB")
    try:
        return parse(data)
    except ManifestError as exc:
        raise ManifestError(f"{path}: {exc}") from exc


def parse(data: bytes) -> dict[str, Any]:
    """As `read`, of the file's bytes."""
    try:
        config = _Config.model_validate(json.loads(data))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:80]
        raise ManifestError(f"{place}: {first['msg']}") from exc
    except (ValueError, RecursionError) as exc:
        raise ManifestError("is no JSON object") from exc
    return {**_geometry(config), **_arithmetic(config)}


def _geometry(config: _Config) -> dict[str, Any]:
    """Size, method, and what becomes of the aspect."""
    if not config.do_resize or config.do_pad:
        raise ManifestError(
            "do_resize: false and do_pad have no equal: leave the file out, and say"
            " input.width, height, resize and fit in the manifest"
        )
    if config.resample not in _PILLOW:
        raise ManifestError(f"resample: {config.resample} has no equal here")
    found: dict[str, Any] = {"resize": _PILLOW[config.resample]}
    size, crop = _sides(config.size, "size"), config.crop_size
    if crop is not None and config.do_center_crop is not False:
        return {**found, **_cropped(size, _sides(crop, "crop_size"))}
    if config.crop_pct is not None and isinstance(size, int):
        # ConvNeXT: resized to size / crop_pct, then the middle of it
        keep = config.crop_pct if size < 384 else 1.0  # noqa: PLR2004 its own rule
        fit = "crop" if keep < 1 else "squash"
        return {**found, "width": size, "height": size, "fit": fit, "keep": keep}
    if isinstance(size, int):
        return {**found, "width": size, "height": size, "fit": "crop"}
    return {**found, "width": size[0], "height": size[1], "fit": "squash"}


def _cropped(
    size: int | tuple[int, int], crop: int | tuple[int, int]
) -> dict[str, Any]:
    """Resized to `size`, of which the middle is seen."""
    width, height = (crop, crop) if isinstance(crop, int) else crop
    fit = "crop" if isinstance(size, int) else "squash"
    whole = (size, size) if isinstance(size, int) else size
    keep = width / whole[0]
    if keep > 1 or abs(keep - height / whole[1]) > 1e-6:  # noqa: PLR2004
        raise ManifestError(
            f"size {whole} and crop_size {(width, height)} differ in aspect, or the"
            " crop is the larger: no equal here"
        )
    return {"width": width, "height": height, "fit": fit, "keep": keep}


def _sides(size: _Size | int | None, key: str) -> int | tuple[int, int]:
    """The short side as a number, or `(width, height)`."""
    if isinstance(size, int):
        return size
    if size is not None and size.width and size.height:
        return size.width, size.height
    if size is not None and size.shortest_edge:
        return size.shortest_edge
    raise ManifestError(f"{key}: is missing, or in other words than are known")


def _arithmetic(config: _Config) -> dict[str, Any]:
    """`(byte * scale - mean) / std`, as in a manifest."""
    found: dict[str, Any] = {
        "color": "bgr" if config.do_flip_channel_order else "rgb",
        "scale": config.rescale_factor if config.do_rescale else 1.0,
    }
    if config.do_normalize:
        if config.image_mean is None or config.image_std is None:
            raise ManifestError("image_mean and image_std: missing, do_normalize is on")
        found |= {"mean": config.image_mean, "std": config.image_std}
    return found


def merged(card: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """`card` with what the file states put into its `input`.

    Raises:
        ManifestError: The manifest says otherwise; each key with both values.
    """
    given = card.get("input", {})
    if not isinstance(given, Mapping):
        raise ManifestError("input: should be a mapping of keys to values")
    faults = [
        f"input.{key}: {given[key]!r} in the manifest, {value!r} in the preprocessor's"
        " file: leave it out of the manifest, or do without --preprocessor"
        for key, value in stated.items()
        if key in given and not _equal(given[key], value)
    ]
    if faults:
        raise ManifestError(*faults)
    return {**card, "input": {**given, **stated}}


def _equal(said: Any, value: Any) -> bool:  # noqa: ANN401
    """Equal, as far as numbers are written out."""
    if isinstance(said, list) and isinstance(value, list):
        return len(said) == len(value) and all(map(_equal, said, value))
    if isinstance(said, int | float) and isinstance(value, int | float):
        return abs(said - value) <= 1e-6 * max(1, abs(value))
    return bool(said == value)
