"""nsfwjs comes from the real registry, is converted, proved, and used by its name."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from sidecar.classify.catalogue import bundled_models
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import OnnxSession
from sidecar.classify.reference import read
from sidecar.domain import Category
from sidecar.models import npm
from sidecar.models.nsfwjs import PACKAGE
from sidecar.sample.resize import resized
from tests.e2e.conftest import Site
from tests.e2e.processes import program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "nsfwjs.yaml"


def sidecar(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user with this data folder."""
    return subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "sidecar", *words],
        env=dict(os.environ, XDG_DATA_HOME=str(home)),  # noqa: TID251 as the user's
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, fetched once by the command's own way."""
    program("npm")
    path = tmp_path_factory.mktemp("npm") / "nsfwjs.tgz"
    path.write_bytes(npm.pack(PACKAGE))
    yield path
    path.unlink()


def test_nsfwjs_is_imported_verified_and_configured(
    tarball: Path, tmp_path: Path
) -> None:
    """From a machine without it to a configuration that is good."""
    before = sidecar(tmp_path, "check", str(CONFIG))
    assert before.returncode == 2
    assert "sidecar models import nsfwjs" in before.stderr
    done = sidecar(tmp_path, "models", "import", "nsfwjs", "--tarball", str(tarball))
    assert done.returncode == 0, done.stderr
    assert "ok   reference: " in done.stdout
    assert sidecar(tmp_path, "check", str(CONFIG)).returncode == 0
    listed = sidecar(tmp_path, "models", "list").stdout
    assert f"nsfwjs\t{tmp_path}" in listed
    assert sidecar(tmp_path, "models", "show", "nsfwjs").returncode == 0
    verified = sidecar(tmp_path, "models", "verify", "nsfwjs")
    assert verified.returncode == 0, verified.stdout
    assert "FAIL" not in verified.stdout


@pytest.mark.parametrize(
    ("variant", "name", "bytes_"),
    [("v2", "nsfwjs", 10.4e6), ("mid", "nsfwjs-mid", 18e6)],
)
def test_the_conversion_says_what_the_original_says(
    tarball: Path, tmp_path: Path, variant: str, name: str, bytes_: float
) -> None:
    """Scores of the reference pixels within 1e-5; of a resized one within .02."""
    words = ("--tarball", str(tarball), "--variant", variant)
    done = sidecar(
        tmp_path, *("models", "import", "nsfwjs"), *words, "--models-dir", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    manifest = load(tmp_path / name)
    assert manifest.model_path.stat().st_size < bytes_
    session = OnnxSession(manifest)
    off, row = {}, np.zeros(len(manifest.labels), np.float32)
    for known in read(tmp_path / name, len(manifest.labels)):
        row = session.run([resized(known.picture, manifest.format)])[0]
        off[known.name] = np.abs(row - known.scores).max()
    assert off.pop("chelsea") < 0.02  # of its own size
    assert set(off) == {"coffee", "rocket", "red", "blue"}
    assert max(off.values()) < 1e-5, off
    said = manifest.categories.by_category(row)
    assert said[Category.SEXUAL_EXPLICIT].label == "Hentai+Porn"
    assert said[Category.SEXUAL_SUGGESTIVE].label == "Sexy"
    assert Category.OTHER not in said


def photograph(path: Path) -> Path:
    """A video that shows `chelsea`, whole, for ten seconds."""
    shown = Image.open(bundled_models() / "nsfwjs" / "reference" / "chelsea.png")
    wide, high = (side // 2 * 2 for side in shown.size)
    pixels = np.asarray(shown.crop((0, 0, wide, high)))
    frame = VideoFrame.from_ndarray(pixels, format="rgb24")
    with av.open(str(path), "w", format="mp4") as container:
        track = container.add_stream("libx264", rate=10)
        track.width, track.height, track.pix_fmt = wide, high, "yuv420p"
        track.options = {"crf": "8", "preset": "veryfast"}
        track.codec_context.gop_size = 5
        for _ in range(100):
            container.mux(track.encode(frame.reformat(format="yuv420p")))
        container.mux(track.encode(None))
    return path


def test_a_stream_gets_the_original_s_scores(
    tarball: Path, site: Site, tmp_path: Path
) -> None:
    """Encoded, decoded, resized, scored, sent: within .1 of nsfwjs's own word."""
    models = tmp_path / "models"
    words = ("--tarball", str(tarball), "--models-dir", str(models))
    done = sidecar(tmp_path, "models", "import", "nsfwjs", *words)
    assert done.returncode == 0, done.stderr
    clip = photograph(tmp_path / "chelsea.mp4")
    site.sidecar(
        model="nsfwjs",
        models_dir=str(models),
        streams=[{"id": "cat", "file": {"path": str(clip), "loop": True}}],
        mqtt={"host": "127.0.0.1", "port": site.broker.port, "scores": True},
    )
    heard = site.collector.wait(lambda h: h.kind == "scores", 45, "scores of the cat")
    manifest = load(models / "nsfwjs")
    (wanted,) = (
        known.scores for known in read(models / "nsfwjs", 5) if known.name == "chelsea"
    )
    said = {word: part["score"] for word, part in heard.body["categories"].items()}
    assert heard.body["model"] == {"name": "nsfwjs", "hash": manifest.ref.hash}
    assert set(said) == {"safe", "sexual.explicit", "sexual.suggestive"}
    assert said["safe"] == pytest.approx(wanted[2], abs=0.1)
    assert said["sexual.explicit"] == pytest.approx(wanted[1] + wanted[3], abs=0.1)


def test_a_changed_tarball_is_refused(tarball: Path, tmp_path: Path) -> None:
    """One byte suffices; nothing is installed."""
    data = bytearray(tarball.read_bytes())
    data[1000] ^= 1
    changed = tmp_path / "changed.tgz"
    changed.write_bytes(data)
    done = sidecar(tmp_path, "models", "import", "nsfwjs", "--tarball", str(changed))
    assert done.returncode == 2
    assert "tampered with; fetch it again" in done.stderr
    assert not (tmp_path / "sidecar").exists()
