"""An MLServer runtime that runs an ONNX file as it is, by onnxruntime.

Runs in the server's own environment (`requirements.txt` beside it), not in the
sidecar's; nothing of the sidecar is imported here.
"""

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from mlserver.utils import get_model_uri

DTYPES = {"UINT8": np.uint8, "FP32": np.float32}


class OnnxModel(MLModel):  # type: ignore[misc]  # not installed here
    """The file that `parameters.uri` names."""

    async def load(self) -> bool:
        """Opens it."""
        uri = await get_model_uri(self._settings)
        self._session = ort.InferenceSession(uri, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs one batch."""
        (given,) = payload.inputs
        data = given.data.root
        dtype = DTYPES[given.datatype]
        if isinstance(data, bytes):
            array = np.frombuffer(data, dtype)
        elif data and isinstance(data[0], bytes):
            array = np.frombuffer(data[0], dtype)
        else:
            array = np.array(data, dtype)
        (scores,) = self._session.run(None, {given.name: array.reshape(given.shape)})
        output = ResponseOutput(
            name=self._session.get_outputs()[0].name,
            datatype="FP32",
            shape=list(scores.shape),
            data=scores.ravel().tolist(),
        )
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=[output]
        )
