# ruff: noqa: T201
"""What the way from a decoded frame to the model's picture costs, by method.

python -m benchmarks.resize_cost [--side 224] [--rounds 200]
"""

import argparse
import time

import numpy as np
from av.video.frame import VideoFrame

from sidecar.domain import PictureFormat
from sidecar.sample.resize import METHODS, Resizer

SIZES = ((640, 360), (1280, 720), (1920, 1080))


def frame(width: int, height: int) -> VideoFrame:
    """Noise, as a decoder would deliver it."""
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3))
    picture = VideoFrame.from_ndarray(values.astype(np.uint8), format="rgb24")
    return picture.reformat(format="yuv420p")


def cost_ms(resizer: Resizer, shown: VideoFrame, side: int, rounds: int) -> float:
    """Median of CPU time, in milliseconds."""
    picture = np.empty((side, side, 3), np.uint8)
    taken = []
    for _ in range(rounds):
        began = time.thread_time()
        resizer.into(shown, picture)
        taken.append(time.thread_time() - began)
    return 1000 * float(np.median(taken))


def main() -> None:
    """Prints a line a method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    print("ms of CPU:", ", ".join(f"{w}x{h}" for w, h in SIZES))
    frames = [frame(*size) for size in SIZES]
    for method in METHODS:
        fmt = PictureFormat(options.side, options.side, method)
        found = [
            cost_ms(Resizer(fmt), shown, options.side, options.rounds)
            for shown in frames
        ]
        print(f"{method:24}", ", ".join(f"{ms:.2f}" for ms in found))


if __name__ == "__main__":
    main()
