# ruff: noqa: INP001, S603
"""Writes reference/: photographs, and what nsfwjs itself says of them (reference.cjs).

    pip download --no-deps scikit-image==0.26.0    # unpack skimage/data
    python models/nsfwjs/make_reference.py PHOTOGRAPHS NODE_MODULES

The photographs are scikit-image's `chelsea` (CC0, Stefan van der Walt), `coffee` (CC0,
Rachel Michetti) and `rocket` (SpaceX, released into the public domain), by its
docstrings. Two are cut to the net's size, so that scores depend on the net alone; one
keeps its own, so that the resize is tried too. A red and a blue field tell whether
colours are swapped.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).parent
SIDE = 224


def square(picture: Image.Image) -> Image.Image:
    """The middle of it, at the net's size."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    middle = picture.crop((left, top, left + side, top + side))
    return middle.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def pictures(folder: Path) -> dict[str, Image.Image]:
    """The three and the two fields, as they are kept."""
    found = {
        name.partition(".")[0]: Image.open(folder / name).convert("RGB")
        for name in ("chelsea.png", "coffee.png", "rocket.jpg")
    }
    return {
        "chelsea": found["chelsea"],
        "coffee": square(found["coffee"]),
        "rocket": square(found["rocket"]),
        "red": Image.new("RGB", (SIDE, SIDE), (255, 0, 0)),
        "blue": Image.new("RGB", (SIDE, SIDE), (0, 0, 255)),
    }


def said_by_the_original(
    kept: dict[str, Image.Image], node_modules: Path
) -> dict[str, Any]:
    """Scores of both variants, by nsfwjs in Node."""
    given = {
        name: {
            "width": picture.width,
            "height": picture.height,
            "rgb": base64.b64encode(picture.tobytes()).decode(),
        }
        for name, picture in kept.items()
    }
    done = subprocess.run(
        ["node", str(HERE / "reference.cjs")],  # noqa: S607 the user's own
        input=json.dumps(given).encode(),
        env={"NODE_PATH": str(node_modules), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    scores: dict[str, Any] = json.loads(done.stdout)
    return scores


def main() -> None:
    """Writes the pictures and their scores."""
    folder, node_modules = map(Path, sys.argv[1:])
    kept = pictures(folder)
    for name, picture in kept.items():
        picture.save(HERE / "reference" / f"{name}.png", optimize=True)
    card = {
        "made_by": "nsfwjs 4.4.0 on TensorFlow.js 4.22.0, CPU backend, in Node 20",
        "classes": ["Drawing", "Hentai", "Neutral", "Porn", "Sexy"],
        "scores": said_by_the_original(kept, node_modules),
    }
    text = json.dumps(card, indent=1)
    (HERE / "reference" / "scores.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
