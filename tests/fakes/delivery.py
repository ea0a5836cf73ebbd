"""A scripted server in this process, the real agent in one of its own, and the books of both."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fakes.processes import Process, Site, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import Receiver, ReceiverStore
from edge_agent.receiver.script import load_script
from edge_agent.types import Submission

#: Whose readings wait when the agent starts.
BACKLOG = ("fridge", "door") * 4
#: Comes back fast; a long time-out, so that only who wants one sees it on a busy machine.
_UPLOAD = {
    "auth": "none",
    "interval": "100ms",
    "retry_delay": "100ms",
    "max_retry_delay": "500ms",
    "timeout": "30s",
}
#: Is read while all that happens.
_SENSORS = "sensors: [{name: probe, type: simulated, interval: 200ms}]\n"
#: How the agent comes and goes is not what these tests are about.
_COMING_AND_GOING = ("previous_run", "started", "ready", "stopped")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table: what a server does, and what is to come of it."""

    #: of the script
    steps: Sequence[str] = ()
    #: how each of the journal's lines begins, all of them
    journal: Sequence[str] = ()
    #: of the backlog, which sensor each reading is from; ids count from 1
    backlog: Sequence[str] = BACKLOG
    #: ids that end as dead letters, and ids that still wait at the end
    dead: Sequence[int] = ()
    waiting: Sequence[int] = ()
    #: settings under ``upload``
    upload: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def arriving(self) -> set[int]:
        """The ids of the backlog that come to the receiver."""
        return set(range(1, len(self.backlog) + 1)) - {*self.dead, *self.waiting}


class Delivery:
    """One server and one agent, whose readings are to arrive."""

    agent: Process
    receiver: Receiver

    def __init__(self, site: Site) -> None:
        self.site = site
        self._made = contextlib.ExitStack()

    def serve(self, *steps: str, **options: Any) -> None:
        """Start a receiver that plays these steps."""
        file = self.site.directory / "script.yaml"
        file.write_text("steps:\n" + "".join(f"  - {step}\n" for step in steps))
        script = load_script(file) if steps else None
        receiver = Receiver(self.site.directory / "received.db", script=script, **options)
        self.receiver = self._made.enter_context(receiver)

    def run(self, backlog: Sequence[str] = BACKLOG, **upload: Any) -> None:
        """Start an agent in whose queue these sensors have readings."""
        now = time.time()
        readings = [
            {"sensor_name": name, "timestamp": now - 60 + place, "value": place}
            for place, name in enumerate(backlog)
        ]
        with CloudSyncQueue(self.site.queue, device_id="pi-7") as queue:
            queue.enqueue_many(map(Submission, readings))
        settings = {"endpoint": self.receiver.url, **_UPLOAD, **upload}
        # JSON is YAML, too.
        self.site.configure(f"upload: {json.dumps(settings)}\n{_SENSORS}")
        self.agent = self.site.agent()

    def play(self, row: Row) -> None:
        """Play a whole row to its end, and look at everything that is to come of it."""
        if not hasattr(self, "receiver"):
            self.serve(*row.steps)
        self.run(row.backlog, **row.upload)
        self.wait(row)
        self.end(row)

    def wait(self, row: Row) -> None:
        """Wait until the script is over, the journal says what it should and all has arrived."""
        begins = row.journal
        until(lambda: self.says(begins) and row.arriving <= self.received() and self.played(), begins)

    def end(self, row: Row) -> None:
        """Stop the agent, which sends what is left, and compare the books of both ends."""
        assert self.agent.end() == 0
        assert self.says(row.journal)
        with CloudSyncQueue(self.site.queue) as queue:
            ledger = queue.ledger()
        with contextlib.closing(sqlite3.connect(self.site.queue)) as db:
            queued, dead = (
                [number for (number,) in db.execute(f"SELECT id FROM {table}")]
                for table in ("sync_queue", "dead_letters")
            )
        received = [item.id for item in self.receiver.store.items()]
        everywhere = Counter([*received, *queued, *dead])
        assert everywhere == Counter(range(1, ledger.enqueued + 1)), "each in one place, once"
        assert ledger.closes
        assert ledger.delivered == len(received)
        assert (queued, dead) == (list(row.waiting), list(row.dead))

    def close(self) -> None:
        self._made.close()

    def journal(self) -> list[str]:
        """What the agent's journal says of its delivery."""
        words = ((line, line.partition(" ")[0]) for line in list(self.agent.lines))
        return [line for line, word in words if word not in _COMING_AND_GOING]

    def says(self, begins: Sequence[str]) -> bool:
        """Whether the journal has these lines and no others."""
        lines = self.journal()
        return len(lines) == len(begins) and all(map(str.startswith, lines, begins))

    def received(self) -> set[int]:
        return {item.id for item in self.receiver.store.items()}

    def played(self) -> bool:
        """Whether each step was done as often as it is to be done, and once at least."""
        play = self.receiver.endpoint.play
        steps = (step for step, _ in play._script.steps)
        return all(
            count.done == step.requests if step.requests else count.done or step.do == "refuse"
            for step, count in zip(steps, play.counts, strict=True)
        )
