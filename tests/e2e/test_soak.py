"""Twenty streams of one Janus for half a minute, in good times and in bad.

The long form is `python -m benchmarks.soak`; these are its numbers in little. Needs a
machine with nothing else to do: `make test ARGS="-m soak tests/e2e/test_soak.py"`.
"""

from typing import Any

import pytest

from benchmarks.soak import Plan, soak

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(280)]

STREAMS = 20
SECONDS = 30.0


@pytest.fixture(scope="module", params=["none", "classifier", "broker"])
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What one soak saw."""
    folder = tmp_path_factory.mktemp("soak")
    return soak(Plan(STREAMS, SECONDS, request.param, points=5), folder)


def test_nothing_is_lost_uncounted_and_nothing_is_left(seen: dict[str, Any]) -> None:
    """Each sample has an answer, each action a hearer; afterwards all is as before."""
    assert seen["live_at_end"] == STREAMS
    assert seen["samples_unaccounted"] == 0
    assert seen["actions_heard"] == seen["actions_decided"]
    assert seen["bus_faults"] == []
    assert seen["sockets_left"] == 0
    assert seen["rss_mb_highest"] - seen["rss_mb_start"] < 40
    if seen["fault"] == "none":
        assert seen["samples_taken"] >= 0.9 * seen["samples_due"]
        assert seen["samples_scored"] >= 0.9 * seen["samples_taken"]
    if seen["fault"] == "classifier":
        assert seen["verdicts_at_end"].get("clear/", 0) <= STREAMS / 2
        assert seen["samples_scored"] < seen["samples_due"] / 4
        assert any(key.startswith("classify/") for key in seen["lost"]), seen["lost"]
    if seen["fault"] == "broker":
        assert seen["actions_decided"] > 0
        assert seen["samples_scored"] >= 0.9 * seen["samples_taken"]
