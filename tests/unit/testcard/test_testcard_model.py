"""The shipped model on the shipped cards, through a real codec at a poor bit rate."""

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime as ort
import pytest
import yaml
from numpy.typing import NDArray

from sidecar.domain import Category, Picture
from sidecar.testcard import cards, street
from sidecar.testcard.clip import Clip, write_clip

FOLDER = Path(__file__).parents[3] / "models" / "testcard"
CLIP = Clip(640, 360, fps=15, clean_s=1.0, card_s=1.0, bit_rate=300_000)


@cache
def manifest() -> dict[str, Any]:
    """Return the model's card as read."""
    content = yaml.safe_load((FOLDER / "model.yaml").read_text())
    assert isinstance(content, dict)
    return content


@cache
def session() -> ort.InferenceSession:
    """Return the model, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    path = FOLDER / manifest()["file"]
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def scores(frames: list[av.VideoFrame]) -> NDArray[np.float32]:
    """Return one row of scores a frame, resized as the manifest says."""
    given = manifest()["input"]
    pictures = [
        frame.reformat(
            given["width"],
            given["height"],
            "rgb24",
            interpolation=given["resize"].upper(),
        ).to_ndarray()
        for frame in frames
    ]
    feed = {given["name"]: np.stack(pictures)}
    return np.asarray(session().run([manifest()["output"]["name"]], feed)[0])


def frame_of(picture: Picture) -> av.VideoFrame:
    """Return the picture as a decoder would give it."""
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")


def video(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the file's frames."""
    with av.open(path) as container:
        yield from container.decode(video=0)


def test_the_manifest_states_the_files_hash() -> None:
    """Whoever changes the model must write its card anew."""
    content = (FOLDER / manifest()["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest()["sha256"]


def test_the_model_is_one_file_of_at_most_a_megabyte() -> None:
    """It travels with the program and needs no second file."""
    assert (FOLDER / "model.onnx").stat().st_size <= 1_000_000
    assert not list(FOLDER.glob("*.data"))


def test_labels_are_the_cards_in_order() -> None:
    """Output columns follow `CATEGORIES`, `safe` first."""
    labels = [label["category"] for label in manifest()["labels"]]
    assert labels == [category.value for category in cards.CATEGORIES]


def test_the_graph_takes_any_number_of_byte_pictures() -> None:
    """Preprocessing is inside: `uint8 (n, h, w, 3)` in, rows that sum to 1 out."""
    taken, given = session().get_inputs()[0], manifest()["input"]
    assert taken.name == given["name"]
    assert taken.type == "tensor(uint8)"
    assert taken.shape[1:] == [given["height"], given["width"], 3]
    noise = np.random.default_rng(0).integers(0, 256, (3, *taken.shape[1:]), np.uint8)
    rows = np.asarray(session().run(["scores"], {taken.name: noise})[0])
    assert rows.shape == (3, len(cards.CATEGORIES))
    assert rows.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.asarray(session().run(["scores"], {taken.name: noise[1:2]})[0])
    assert alone[0] == pytest.approx(rows[1], abs=1e-5)


@pytest.mark.parametrize("category", cards.CATEGORIES[1:])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_cards_are_recognised_and_the_street_is_not(
    tmp_path: Path, category: Category, suffix: str
) -> None:
    """At 300 kbit/s: over 0.9 for the card's own word, below 0.1 for all before it."""
    path = tmp_path / f"clip{suffix}"
    write_clip(path, category, CLIP)
    rows = scores(list(video(path)))
    column = cards.CATEGORIES.index(category)
    assert rows[:15, 1:].max() < 0.1
    assert rows[18:, column].min() > 0.9  # three frames for the encoder to catch up


@pytest.mark.parametrize("category", cards.CATEGORIES)
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (360, 640), (640, 480)])
def test_a_card_that_fills_the_picture_is_recognised(
    category: Category, width: int, height: int
) -> None:
    """Whatever the aspect, mirrored or not: over 0.9 for its own word."""
    card = cards.draw(category, width, height)
    mirrored = np.ascontiguousarray(card[:, ::-1])
    rows = scores([frame_of(card), frame_of(mirrored)])
    assert rows[:, cards.CATEGORIES.index(category)].min() > 0.9


@pytest.mark.parametrize("category", cards.CATEGORIES[1:])
def test_red_and_blue_are_not_mixed_up(category: Category) -> None:
    """With red and blue swapped the card is another picture: the scores differ."""
    card = cards.draw(category, 640, 360)
    swapped = np.ascontiguousarray(card[..., ::-1])
    right, wrong = scores([frame_of(card), frame_of(swapped)])
    column = cards.CATEGORIES.index(category)
    assert right[column] - wrong[column] > 0.5


def test_streets_are_clean() -> None:
    """Twenty streets not seen in training: every card scores below 0.1."""
    shown = [
        next(islice(street.frames(640, 360, 1, 70 + s), 2, None)) for s in range(20)
    ]
    assert scores([frame_of(picture) for picture in shown])[:, 1:].max() < 0.1
