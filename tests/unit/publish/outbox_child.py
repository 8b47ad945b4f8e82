"""A process that puts actions and then waits to be killed; run by test_store."""

import sys
import time
from pathlib import Path

from sidecar.publish.entry import Entry
from sidecar.publish.outbox import Outbox

if __name__ == "__main__":
    box = Outbox(Path(sys.argv[1]))
    for number in range(int(sys.argv[2])):
        name = str(number)
        box.put(Entry(name, name, "takedown", "t", b"p", 1e12), 0.0)
        print(name, flush=True)  # noqa: T201  # only now is it promised
    time.sleep(60)
