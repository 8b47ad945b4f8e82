# ruff: noqa: INP001, T201
"""Trains the test card model, writes `model.onnx` and `model.yaml` beside itself.

Run from the repository's root, with the `train` group installed:
`PYTHONPATH=. python models/testcard/train.py`. Everything is drawn from fixed seeds;
the samples are kept in `--cache`, so that a second run only trains. Sums are not taken
in the same order on every processor: another machine gives other last digits.
"""

import argparse
import hashlib
import math
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
import yaml
from codec import RESIZE, SIDE
from network import export, network
from samples import CHUNK, Samples, cached
from torch import nn

from sidecar.testcard.cards import CATEGORIES

HERE = Path(__file__).parent
FIRST_SEED = 100
CHECK_SEEDS = range(50, 54)  # watched while training, never learnt from
BATCH = 128
PEAK_RATE = 3e-3
TOLERANCE = 1e-5
MIRRORED = 0.5
SWAPPED = 0.03  # red and blue exchanged: no card any more, so that a mix-up shows
THRESHOLD = 0.85


def main() -> None:
    """Make the samples, train, export, and check the export against the network."""
    options = _options()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    chunks = math.ceil(options.samples / CHUNK)
    seeds = range(FIRST_SEED, FIRST_SEED + chunks)
    learnt = cached(options.cache, seeds, options.threads)
    checked = cached(options.cache, CHECK_SEEDS, options.threads)
    net = fitted(learnt, checked, options.epochs)
    path = options.output / "model.onnx"
    export(net, path)
    verify(net, path, checked)
    write_manifest(path, options.output / "model.yaml")


def fitted(learnt: Samples, checked: Samples, epochs: int) -> nn.Sequential:
    """Train the network from scratch on `learnt`; `checked` is only reported on."""
    net = network().to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    steps = epochs * (len(learnt.labels) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, steps)
    for epoch in range(epochs):
        start = time.perf_counter()
        loss = _epoch(net, learnt, rng, optimizer, schedule)
        took = time.perf_counter() - start
        print(
            f"epoch {epoch}: loss {loss:.4f}, {took:.0f} s, {_report(net, checked)}",
            flush=True,
        )
    return net.eval()


def verify(net: nn.Sequential, path: Path, checked: Samples) -> None:
    """Compare the file with the network.

    Raises:
        SystemExit: They differ by more than 1e-5 on 256 pictures.
    """
    pictures = checked.pictures[:256]
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores = np.asarray(session.run(["scores"], {"picture": pictures})[0])
    apart = float(np.abs(scores - _scores(net, pictures)).max())
    print(f"{path.name}: {path.stat().st_size} bytes, off by {apart:.1e} at most")
    if apart > TOLERANCE:
        raise SystemExit("the exported graph differs from the network")


def write_manifest(path: Path, manifest: Path) -> None:
    """Write the model's card for the engine, with the file's hash."""
    content = {
        "schema": "sidecar.model/1",
        "name": "testcard",
        "version": "1.0.0",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "provenance": {
            "source": "models/testcard/train.py",
            "data": "procedural; no photograph, no picture of a person",
        },
        "description": "Recognises this project's harmless test cards, nothing else.",
        "input": {
            "name": "picture",
            "width": SIDE,
            "height": SIDE,
            "color": "rgb",
            "layout": "nhwc",
            "dtype": "uint8",
            "scale": 1.0,
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
            "resize": RESIZE,
        },
        "output": {"name": "scores", "activation": "none"},
        "labels": [
            {"name": f"card {category.value}", "category": category.value}
            for category in CATEGORIES
        ],
    }
    note = "# Written by train.py. Scaling to 0..1 and softmax are inside the graph.\n"
    manifest.write_text(note + yaml.safe_dump(content, sort_keys=False))


def _epoch(
    net: nn.Sequential,
    learnt: Samples,
    rng: np.random.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    net.train()
    total = 0.0
    order = rng.permutation(len(learnt.labels))
    count = len(order) // BATCH
    for index in range(count):
        chosen = np.sort(order[index * BATCH : (index + 1) * BATCH])
        batch = augmented(torch.from_numpy(learnt.pictures[chosen]), rng)
        wanted = torch.from_numpy(learnt.labels[chosen])
        swapped = torch.from_numpy(rng.random(BATCH) < SWAPPED)
        batch[swapped], wanted[swapped] = batch[swapped].flip(1), 0
        loss = nn.functional.cross_entropy(net(batch), wanted, label_smoothing=0.01)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        total += float(loss.detach())
    return total / count


def augmented(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return `uint8 (n, h, w, 3)` as `float (n, 3, h, w)`: mirrored, other light."""
    count = len(pictures)
    batch = pictures.permute(0, 3, 1, 2).float() / 255
    mirrored = torch.from_numpy(rng.random(count) < MIRRORED)
    batch[mirrored] = batch[mirrored].flip(3)
    gamma = torch.from_numpy(np.exp(rng.uniform(-0.4, 0.4, (count, 1, 1, 1)))).float()
    gain = torch.from_numpy(rng.uniform(0.7, 1.25, (count, 1, 1, 1))).float()
    tint = torch.from_numpy(rng.uniform(0.88, 1.12, (count, 3, 1, 1))).float()
    lift = torch.from_numpy(rng.uniform(-0.1, 0.1, (count, 1, 1, 1))).float()
    fade = torch.from_numpy(rng.uniform(0.45, 1.2, (count, 1, 1, 1))).float()
    batch = batch.clamp_min(1e-4).pow(gamma)
    grey = batch.mean(dim=1, keepdim=True)
    batch = (grey + (batch - grey) * fade) * gain * tint + lift
    batch = batch.clamp(0, 1)
    return batch.contiguous(memory_format=torch.channels_last)


def _scores(net: nn.Sequential, pictures: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        return np.asarray(net.eval()(batch).softmax(dim=1).numpy())


def _report(net: nn.Sequential, checked: Samples) -> str:
    scores = np.concatenate(
        [
            _scores(net, checked.pictures[i : i + 256])
            for i in range(0, len(checked.labels), 256)
        ]
    )
    best = scores[:, 1:].max(axis=1)
    clean = checked.labels == 0
    right = scores[np.arange(len(clean)), checked.labels][~clean]
    recall, false = (right >= THRESHOLD).mean(), int((best[clean] >= THRESHOLD).sum())
    return f"recall {recall:.4f}, {false} false of {clean.sum()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("build/testcard"))
    parser.add_argument("--output", type=Path, default=HERE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
