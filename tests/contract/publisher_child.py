"""A process that shows verdicts until it is killed, for test_broker_leftovers."""

import asyncio
import sys
from pathlib import Path

from sidecar.domain import Verdict, VerdictState
from tests.contract.desk_rig import build, stream


async def main(folder: Path, port: int, names: list[str]) -> None:
    """Never ends by itself."""
    rig = build(folder, port)
    for name in names:
        rig.publisher.set_verdict(stream(name), Verdict(VerdictState.CLEAR, 0.0))
    await rig.publisher.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
