"""Whether what a server says of its model goes with the manifest. Pure."""

from collections.abc import Iterator, Sequence

from sidecar.classify.manifest import Manifest
from sidecar.classify.served import ModelFacts, Served, TensorFacts

_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}
ANY = -1


def faults(manifest: Manifest, served: Served, facts: ModelFacts) -> list[str]:
    """What does not, as sentences with their mend; none if all is well."""
    return [
        *_version(served, facts),
        *_tensor("input", facts.inputs, _input(manifest), manifest),
        *_tensor("output", facts.outputs, _output(manifest), manifest),
    ]


def _version(served: Served, facts: ModelFacts) -> Iterator[str]:
    if served.version and served.version not in facts.versions:
        known = ", ".join(facts.versions) or "none"
        yield (
            f"there is no version {served.version!r} of {served.name!r}, there are:"
            f" {known}; correct engine.remote.version"
        )


def _input(manifest: Manifest) -> TensorFacts:
    spec = manifest.input
    shape = (ANY, spec.height, spec.width, 3)
    if spec.layout == "nchw":
        shape = (ANY, 3, spec.height, spec.width)
    return TensorFacts(spec.name, _DATATYPES[spec.dtype], shape)


def _output(manifest: Manifest) -> TensorFacts:
    return TensorFacts(manifest.output.name, "FP32", (ANY, len(manifest.labels)))


def _tensor(
    kind: str,
    described: Sequence[TensorFacts],
    wanted: TensorFacts,
    manifest: Manifest,
) -> Iterator[str]:
    """One sentence, if the tensor is not there or not as the manifest says."""
    mend = f"serve the file that {manifest.path} is about, as it is"
    found = next((one for one in described if one.name == wanted.name), None)
    if found is None:
        names = ", ".join(repr(one.name) for one in described) or "none"
        yield (
            f"the server describes no {kind} {wanted.name!r} (but: {names}); {mend},"
            " and have the server describe it"
        )
    elif found.datatype != wanted.datatype or not _same(found.shape, wanted.shape):
        yield (
            f"{kind} {wanted.name!r} is {found.datatype} {list(found.shape)} instead of"
            f" {wanted.datatype} {list(wanted.shape)}; {mend}, with a batch axis of any"
            " size"
        )


def _same(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Any size of a side will do, but for the batch, which has to be of any size."""
    return (
        len(found) == len(wanted)
        and found[0] == ANY
        and all(
            have in {ANY, want}
            for have, want in zip(found[1:], wanted[1:], strict=True)
        )
    )
