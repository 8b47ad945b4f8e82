"""The random ResNet-50 has the shape and cost of the real one, and it runs."""

from math import prod
from pathlib import Path

import pytest

from sidecar.bench.random_model import ResNetSettings, random_resnet50, write_resnet50
from sidecar.classify.catalogue import verify
from sidecar.classify.manifest import load

SMALL = ResNetSettings(width=8, side=64)


def test_it_has_the_weights_of_the_paper() -> None:
    """53 convolutions with 23.5 million weights, before a head of our own size."""
    graph = random_resnet50().graph
    weights = [prod(w.dims) for w in graph.initializer if len(w.dims) == 4]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 53
    assert sum(weights) == pytest.approx(23.45e6, rel=0.002)


def test_it_is_a_model_as_any_other(tmp_path: Path) -> None:
    """A folder that loads, runs at every batch size and gives finite scores."""
    report = verify(load(write_resnet50(tmp_path / "m", SMALL)))
    assert report.ok, report.checks


def test_it_is_always_the_same(tmp_path: Path) -> None:
    """Figures of two days are figures of one model."""
    first, again = (load(write_resnet50(tmp_path / name, SMALL)) for name in "ab")
    assert first.sha256 == again.sha256
