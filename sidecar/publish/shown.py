"""Which verdict topics the broker may hold, on disk before it does.

A process that is killed empties nothing, and a stream that never returns would keep its
last verdict for ever. So the next process empties what is left over.
"""

from functools import partial

from sidecar.log import get_logger
from sidecar.publish.message import Kind, Message, emptied
from sidecar.publish.outbox import Outbox
from sidecar.publish.retained import Retained
from sidecar.publish.store import OutboxThread

log = get_logger(__name__)


class Shown:
    """Follows `retained`; the disk is written when a topic appears or is emptied.

    Args:
        store: Of the outbox, in whose file they are kept.
        retained: What the broker is to hold; what is left over is emptied through it.
    """

    def __init__(self, store: OutboxThread, retained: Retained) -> None:
        self._store = store
        self._retained = retained
        self._topics: set[str] = set()
        self._on_disk: set[str] | None = None
        self._differs = False

    def put(self, message: Message) -> None:
        """It is about to be sent; `save` has to come first."""
        is_shown = message.kind is Kind.VERDICT and bool(message.payload)
        if is_shown and message.topic not in self._topics:
            self._topics.add(message.topic)
            self._differs = True

    def delivered(self, message: Message) -> None:
        """The broker has it; an emptied topic is forgotten, unless more is to come."""
        if message.topic in self._topics and message.topic not in self._retained:
            self._topics.discard(message.topic)
            self._differs = True

    async def save(self) -> None:
        """Brings the disk up to date; the first time, empties what was left over.

        Raises:
            PublishError: the disk fails; to be called again.
        """
        on_disk = self._on_disk
        if on_disk is None:
            on_disk = await self._store.call(Outbox.shown)
            self._take_over(on_disk)
        while self._differs:
            wanted = set(self._topics)
            new, gone = wanted - on_disk, on_disk - wanted
            await self._store.call(partial(Outbox.show, new=new, gone=gone))
            self._on_disk = on_disk = wanted
            self._differs = self._topics != wanted

    def _take_over(self, left_over: set[str]) -> None:
        self._on_disk = left_over
        for topic in (orphans := left_over - self._topics):
            if topic not in self._retained:
                self._retained.put(emptied(topic))
        if orphans:
            log.info("verdicts_left_over", emptied=len(orphans))
        self._topics |= left_over
        self._differs = self._topics != left_over
