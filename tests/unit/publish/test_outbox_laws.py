"""The outbox against a plain model."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sidecar.domain import ActionKind
from sidecar.publish.entry import Entry
from sidecar.publish.outbox import Outbox
from tests.unit.publish.strategies import entry

_MEMORY = Path("/dev/shm")  # noqa: S108  # thousands of fsyncs


class OutboxLaws(RuleBasedStateMachine):
    """Against a plain model: whatever happens, nothing is lost and order holds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
        self.path = Path(self.folder.name) / "outbox.db"
        self.box = Outbox(self.path)
        self.put: dict[str, Entry] = {}
        self.done: set[str] = set()
        self.flying: list[Entry] = []
        self.refused: set[str] = set()
        self.now = 0.0

    @initialize()
    def begin(self) -> None:
        """An empty box has nothing due."""
        assert self.box.claim(0.0, 9) == []

    @rule(
        stream=st.sampled_from("ab"),
        action=st.sampled_from(
            [ActionKind.FLAG, ActionKind.TAKEDOWN, ActionKind.REVERSE_TAKEDOWN]
        ),
        life=st.integers(1, 50),
        require=st.booleans(),
    )
    def puts(
        self, stream: str, action: ActionKind, life: int, *, require: bool
    ) -> None:
        """A new action."""
        one = entry(
            str(len(self.put)),
            stream,
            action,
            expires_at=self.now + life,
            require_enforced=require,
        )
        self.put[one.id] = one
        self.box.put(one, self.now)

    @rule(limit=st.integers(1, 3))
    def claims(self, limit: int) -> None:
        """Never more than asked, never what flies, never what is done."""
        got = self.box.claim(self.now, limit)
        assert len(got) <= limit
        for one in got:
            assert one.id not in {f.id for f in self.flying}
            assert one.id not in self.done
            assert one.payload == self.put[one.id].payload
            assert not [f for f in self.flying if self._holds_up(f, one)]
        self.flying += got

    def _holds_up(self, flying: Entry, one: Entry) -> bool:
        """Whether `one` must not be sent before `flying` is answered."""
        return (
            flying.stream == one.stream
            and int(flying.id) < int(one.id)
            and not flying.delivered
            and flying.id not in self.done
            and (
                flying.id not in self.refused
                or one.action == ActionKind.REVERSE_TAKEDOWN
            )
        )

    @precondition(lambda self: self.flying)
    @rule(how=st.sampled_from(["delivered", "refused", "lost"]))
    def answers(self, how: str) -> None:
        """The broker says yes, no, or nothing."""
        one = self.flying.pop(0)
        if how == "delivered":
            self.box.delivered(one.id, self.now, self.now + 5)
            if not one.require_enforced:
                self.done.add(one.id)
        elif how == "refused":
            self.box.refused(one.id, self.now + 3)
            self.refused.add(one.id)
        else:
            self.box.retry({one.id: self.now})

    @precondition(lambda self: self.put)
    @rule(data=st.data())
    def is_enforced(self, data: st.DataObject) -> None:
        """An enforcer speaks of any action, known or not."""
        action_id = data.draw(st.sampled_from(sorted(self.put)))
        assert self.box.enforced(action_id) is (action_id not in self.done)
        self.done.add(action_id)

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds: int) -> None:
        """What expires comes out, each once, and was not done."""
        self.now += seconds
        for gone in self.box.expire(self.now):
            assert gone.id not in self.done
            self.done.add(gone.id)

    @rule()
    def restarts(self) -> None:
        """The process dies and comes back."""
        self.box.close()
        self.box = Outbox(self.path)
        self.flying.clear()
        self.refused.clear()

    @invariant()
    def nothing_is_lost(self) -> None:
        """Everything put is done (delivered, enforced, told expired) or still here."""
        depth = self.box.depth()
        here = len(self.put) - len(self.done)
        assert depth.undelivered + depth.awaiting == here

    def teardown(self) -> None:
        """Closes and removes the file."""
        self.box.close()
        self.folder.cleanup()


TestOutboxLaws = OutboxLaws.TestCase
TestOutboxLaws.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None
)
