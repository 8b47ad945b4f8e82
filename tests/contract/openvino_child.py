"""Scores pictures on OpenVINO, in an environment that has it, for test_openvino.

`python -m tests.contract.openvino_child CONFIG PICTURES SCORES`: PICTURES is a `.npy`
of `uint8 (n, height, width, 3)`, SCORES becomes one of `float32 (n, labels)`. The last
line it prints is a JSON object: what the engine runs on, who has the nodes, what
`verify` says.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sidecar.app.engines import engine_settings
from sidecar.app.models import load_manifests
from sidecar.classify import graph
from sidecar.classify.catalogue import verify
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_engine import OnnxEngine
from sidecar.config import load


async def scored(
    engine: OnnxEngine, pictures: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """A row a picture, in batches as large as the engine takes; ends the engine."""
    size = engine.max_batch_size
    batches = [pictures[at : at + size] for at in range(0, len(pictures), size)]
    rows = [await engine.infer(list(batch)) for batch in batches]
    engine.close()
    return np.concatenate(rows)


def nodes(manifest: Manifest) -> dict[str, int]:
    """How many of the graph's nodes each provider was given."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    data = graph.prepare(manifest).data
    session = ort.InferenceSession(data, options, ["OpenVINOExecutionProvider"])
    parts = session.get_provider_graph_assignment_info()
    return {part.ep_name: len(part.get_nodes()) for part in parts}


def main(config_path: Path, pictures: Path, scores: Path) -> None:
    """By the way a start goes: configuration, manifest, engine."""
    config = load(config_path, {})
    (manifest,) = load_manifests(config)
    engine = OnnxEngine.load(manifest, engine_settings(config))
    rows = asyncio.run(scored(engine, np.load(pictures)))
    np.save(scores, rows)
    checks = [asdict(check) for check in verify(manifest).checks]
    told = {"facts": asdict(engine.facts), "nodes": nodes(manifest), "checks": checks}
    print(json.dumps(told))  # noqa: T201 its answer


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
