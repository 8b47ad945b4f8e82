# ruff: noqa: INP001, T201
"""How far scores are from the original's, by the resize that frames go through.

    python models/nsfwjs/resize_error.py PHOTOGRAPHS MODEL.onnx

PHOTOGRAPHS is scikit-image's `skimage/data`: ten pictures, whole and six crops of each,
enlarged to 720p. The original's scores are those of the converted net, fed floats that
were resized in double precision: it repeats nsfwjs's within 1e-6.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from sidecar.domain import Picture, PictureFormat
from sidecar.sample.resize import METHODS, resized

SIDE = 224
NAMES = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "color.png"),
    *("motorcycle_left.png", "hubble_deep_field.jpg", "retina.jpg", "ihc.png"),
    "logo.png",
)
CROPS = (  # left, top, side, as shares
    *((0.0, 0.0, 0.6), (0.4, 0.0, 0.6), (0.0, 0.4, 0.6), (0.4, 0.4, 0.6)),
    *((0.2, 0.2, 0.6), (0.3, 0.3, 0.35)),
)


def pictures(folder: Path) -> Iterator[Picture]:
    """Whole ones at their own size, crops at 720p."""
    for name in NAMES:
        image = Image.open(folder / name).convert("RGB")
        yield np.asarray(image)
        wide, high = image.size
        for x, y, side in CROPS:
            box = (x * wide, y * high, (x + side) * wide, (y + side) * high)
            crop = image.crop(tuple(map(int, box)))  # type: ignore[arg-type]
            yield np.asarray(crop.resize((1280, 720), Image.Resampling.LANCZOS))


def aligned(picture: Picture) -> NDArray[np.float64]:
    """Bilinear, corners aligned, in double precision."""
    high, wide = picture.shape[:2]
    y, x = (np.arange(SIDE) * (n - 1) / (SIDE - 1) for n in (high, wide))
    top, left = y.astype(int), x.astype(int)
    below, right = np.minimum(top + 1, high - 1), np.minimum(left + 1, wide - 1)
    v, u = (y - top)[:, None, None], (x - left)[None, :, None]
    p = picture.astype(np.float64)
    upper = p[top][:, left] * (1 - u) + p[top][:, right] * u
    lower = p[below][:, left] * (1 - u) + p[below][:, right] * u
    mixed: NDArray[np.float64] = upper * (1 - v) + lower * v
    return mixed


def session(data: bytes) -> Any:  # noqa: ANN401 (untyped)
    """A quiet one."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def float_net(data: bytes) -> tuple[Any, str]:
    """The net without its way from bytes to 0…1, and its input's name."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    (last,) = (node.output[0] for node in graph.node if node.op_type == "Div")
    net = [n for n in graph.node if n.op_type not in {"Transpose", "Cast", "Div"}]
    del graph.node[:], graph.input[:]
    graph.node.extend(net)
    shape: list[str | int | None] = ["n", 3, SIDE, SIDE]
    graph.input.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, shape))
    return session(model.SerializeToString()), last


def main() -> None:
    """Prints the largest and the median difference of each method."""
    folder, path = map(Path, sys.argv[1:])
    data = path.read_bytes()
    original, name = float_net(data)
    converted = session(data)
    off: dict[str, list[float]] = {method: [] for method in METHODS}
    for picture in pictures(folder):
        planes = (aligned(picture) / 255).astype(np.float32).transpose(2, 0, 1)
        wanted = original.run(None, {name: planes[None]})[0]
        for method, found in off.items():
            shown = resized(picture, PictureFormat(SIDE, SIDE, method))
            scores = converted.run(None, {"pixels": shown[None]})[0]
            found.append(float(np.abs(scores - wanted).max()))
    for method, found in off.items():
        print(f"{method:24} largest {max(found):.4f}, median {np.median(found):.4f}")


if __name__ == "__main__":
    main()
