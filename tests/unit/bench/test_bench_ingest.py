"""The plumbing of `sidecar bench`: real processes, tiny pictures, a few seconds."""

import json
import sys
from pathlib import Path

import pytest

from sidecar import cli
from sidecar.bench.child import BenchFailed, child
from sidecar.bench.ingest import KINDS, BenchSettings

SMALL = ("--size", "160x96", "--streams", "1", "--rounds", "1", "--codec", "vp8")
QUICK = ("--seconds", "1", "--warm-up", "0")


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sidecar", "bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize("receiver", ["sidecar-all", "obvious"])
def test_a_round_gives_a_row(
    receiver: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One stream goes from process to process; its cost and samples are counted."""
    chosen = ("--receiver", receiver, "--json")
    long = ("--seconds", "3", "--warm-up", "0")  # a sample a second, now and then less
    assert _run(monkeypatch, "ingest", *SMALL, *long, *chosen) == 0
    said = json.loads(capsys.readouterr().out)
    [row] = said["rows"]
    assert (row["receiver"], row["codec"], row["streams"]) == (receiver, "vp8", 1)
    assert 0 < row["cpu_percent_per_stream"] < 100
    assert row["samples_taken"] >= 1
    assert row["frames_sent_percent"] > 50
    assert said["ratio_vs_obvious"] is None


def test_several_numbers_of_streams_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A row for each number, and a drawing with a dot for each row."""
    plot = tmp_path / "cpu.svg"
    chosen = ("--receiver", "sidecar-all", "--streams", "1,2", "--plot", str(plot))
    assert _run(monkeypatch, "ingest", *SMALL, *QUICK, *chosen, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["streams"] for row in rows] == [1, 2]
    assert plot.read_text().count("<circle") == 2


def test_receivers_that_decode_all_get_few_streams() -> None:
    """Four at most, and no number twice; the others get each number once."""
    settings = BenchSettings(streams=(20, 1, 10, 1))
    cheap, dear = (next(k for k in KINDS if k.dear is dear) for dear in (False, True))
    assert settings.counts(cheap) == [1, 10, 20]
    assert settings.counts(dear) == [1, 4]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--receiver", "magic"), ("--codec", "av1"), ("--size", "big")),
        *(("--streams", "0"), ("--streams", "1,x"), ("--streams", "")),
    ],
)
def test_an_unknown_word_is_refused(
    option: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and a sentence that names what would do."""
    assert _run(monkeypatch, "ingest", option, value) == 2
    assert f"error: {option} '{value}'" in capsys.readouterr().err


def test_every_receiver_asked_for_can_be_measured() -> None:
    """The six that are compared, each once."""
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names)) == 6


@pytest.mark.anyio
async def test_a_broken_process_is_told_with_its_last_words() -> None:
    """What it said on stderr is in the error, and nothing hangs."""
    words = "import sys; sys.exit('no such device')"
    async with child("sender", sys.executable, "-c", words) as broken:
        with pytest.raises(BenchFailed, match="no such device"):
            await broken.ask({"offer": 0})
