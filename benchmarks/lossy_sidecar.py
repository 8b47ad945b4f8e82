"""`sidecar` on a bad network: a share of the media packets is lost before it.

    python -m benchmarks.lossy_sidecar 0.15 run CONFIG

For streams that are received in the sidecar itself (`ingest: {workers: 1}`).
"""

import random
import sys

from sidecar.cli import main
from sidecar.ingest.door import Door


def lose(share: float) -> None:
    """Has every door lose that share of the media packets, the same ones each time."""
    chance, take = random.Random(1), Door.take_media  # noqa: S311 no secret

    def take_some(door: Door, datagrams: list[bytes]) -> None:
        take(door, [one for one in datagrams if chance.random() >= share])

    Door.take_media = take_some  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    lose(float(sys.argv.pop(1)))
    main()
