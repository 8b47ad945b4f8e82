"""A real MLServer in a process of its own, that can be killed and started again."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from sidecar.classify.manifest import Manifest
from tests.e2e.processes import Child, free_port, program, until

_HERE: Final = Path(__file__).parent
_DATATYPES: Final = {"uint8": "UINT8", "float32": "FP32"}


class MlServer:
    """Serves models as their files are.

    Args:
        folder: Of the test; the server's files are put here.
        manifests: The models, each under its own name.
    """

    def __init__(self, folder: Path, manifests: Sequence[Manifest]) -> None:
        self._program = program("mlserver")
        self._folder = folder
        self._names = [manifest.name for manifest in manifests]
        self.http_port, self.grpc_port = free_port(), free_port()
        self._child: Child | None = None
        folder.mkdir()
        shutil.copy(_HERE / "onnx_runtime.py", folder)
        _write(
            folder / "settings.json",
            {
                "debug": False,
                "host": "127.0.0.1",
                "http_port": self.http_port,
                "grpc_port": self.grpc_port,
                "metrics_endpoint": None,
                "parallel_workers": 0,
            },
        )
        for manifest in manifests:
            _put(folder / manifest.name, manifest)

    @property
    def urls(self) -> tuple[str, str]:
        """Over HTTP, and over gRPC."""
        return (
            f"http://127.0.0.1:{self.http_port}",
            f"grpc://127.0.0.1:{self.grpc_port}",
        )

    def start(self) -> None:
        """Starts it; returns once every model is ready."""
        self._child = Child(
            "mlserver",
            [self._program, "start", str(self._folder)],
            self._folder / "mlserver.log",
            env={"PYTHONPATH": str(self._folder), "OMP_NUM_THREADS": "1"},
        )
        until(self._ready, 60, "MLServer serves its models", every_s=0.2)

    def kill(self) -> None:
        """SIGKILL: connections are reset, nothing is answered any more."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _ready(self) -> bool:
        child = self._child
        assert child is not None
        assert child.alive, child.tail()
        return all(self._is_ready(name) for name in self._names)

    def _is_ready(self, name: str) -> bool:
        url = f"{self.urls[0]}/v2/models/{name}/ready"
        try:
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def _put(folder: Path, manifest: Manifest) -> None:
    """A model's folder: its file, and what MLServer says of it."""
    folder.mkdir()
    shutil.copy(manifest.model_path, folder / "model.onnx")
    spec = manifest.input
    shape = [-1, spec.height, spec.width, 3]
    if spec.layout == "nchw":
        shape = [-1, 3, spec.height, spec.width]
    given = {"name": spec.name, "datatype": _DATATYPES[spec.dtype], "shape": shape}
    labels = len(manifest.labels)
    output = {"name": manifest.output.name, "datatype": "FP32", "shape": [-1, labels]}
    _write(
        folder / "model-settings.json",
        {
            "name": manifest.name,
            "implementation": "onnx_runtime.OnnxModel",
            "platform": "onnx",
            "versions": [manifest.version],
            "parameters": {"uri": "./model.onnx", "version": manifest.version},
            "inputs": [given],
            "outputs": [output],
        },
    )


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value))
