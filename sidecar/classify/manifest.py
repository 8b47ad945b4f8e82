"""A model's card, `models/<name>/model.yaml`, checked whole before anything runs.

What the net is fed is `(pixel * scale - mean) / std`, with the channels, and so the
three values of `mean` and `std`, in the net's own order (`input.color`).
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PrivateAttr, ValidationError, field_validator

from sidecar.classify import model_file, model_yaml
from sidecar.classify.card import Card, Label, ModelInput, ModelOutput, Provenance, Text
from sidecar.classify.faults import describe
from sidecar.classify.labels import CategoryMap
from sidecar.domain import Category, ModelRef, PictureFormat
from sidecar.errors import ManifestError

FILE_NAME: Final = "model.yaml"


class Manifest(Card):
    """The whole card, and the folder it lies in."""

    schema_: Literal["sidecar.model/1"] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    file: Annotated[str, Field(min_length=1, max_length=255)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Text
    provenance: Provenance
    description: Text
    input: ModelInput
    output: ModelOutput
    labels: Annotated[tuple[Label, ...], Field(strict=False)]
    _folder: Path = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 (pydantic's)
        """Remembers where it was found."""
        self._folder = context["folder"]

    @field_validator("labels")
    @classmethod
    def _labels_tell(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        """Names are unique and something else than `safe` can be said."""
        names = [label.name for label in labels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each name once, but {twice} stand more than once")
        if {label.category for label in labels} <= {None, Category.SAFE}:
            raise ValueError("at least one label needs a category other than safe")
        return labels

    @property
    def path(self) -> Path:
        """The `model.yaml` itself, to be named in errors."""
        return self._folder / FILE_NAME

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self._folder / self.file

    @property
    def format(self) -> PictureFormat:
        """What the sampler has to deliver."""
        spec = self.input
        return PictureFormat(
            *(spec.width, spec.height, spec.resize, spec.fit, spec.keep, spec.pad)
        )

    @cached_property
    def ref(self) -> ModelRef:
        """Name and hash, as published."""
        return ModelRef(self.name, f"sha256:{self.sha256}")

    @cached_property
    def categories(self) -> CategoryMap:
        """Output columns to categories."""
        pairs = tuple((label.name, label.category) for label in self.labels)
        return CategoryMap(pairs, self.output.combination)

    def read_model(self) -> bytes:
        """The bytes of the ONNX file; their hash is checked once more.

        Raises:
            ManifestError: Gone, too large, or changed since `load`.
        """
        return model_file.read(self._folder, self.path, self.file, self.sha256)


def load(model_dir: Path) -> Manifest:
    """Reads and checks `model_dir/model.yaml` and the file it names.

    Raises:
        ManifestError: With every fault found, each naming file, key, value and mend.
    """
    path = model_dir / FILE_NAME
    raw = model_yaml.read(path)
    faults: list[str] = []
    manifest = None
    try:
        manifest = Manifest.model_validate(raw, context={"folder": model_dir})
    except ValidationError as exc:
        faults += describe(path, Manifest, exc)
    file, sha256 = raw.get("file"), raw.get("sha256")
    if isinstance(file, str) and isinstance(sha256, str):
        faults += model_file.faults(model_dir, path, file, sha256)
    if manifest is None or faults:
        raise ManifestError(*faults)
    return manifest
