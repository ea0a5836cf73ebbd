"""A scripted server in this process, the real agent in one of its own, and the books of both."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import Receiver
from edge_agent.receiver.script import load_script
from edge_agent.types import Submission
from fakes.processes import Process, Site, until

#: Whose readings wait when the agent starts.
BACKLOG = ("fridge", "door") * 4
#: Comes back fast; a long time-out, so that only who wants one sees it on a busy machine.
_UPLOAD = {
    "auth": "none",
    "interval": "100ms",
    "retry_delay": "100ms",
    "max_retry_delay": "300ms",
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

    def complete(self, received: AbstractSet[int]) -> bool:
        """Whether a receiver with these ids misses none: of the backlog, and of what came since."""
        newest = max(received, default=0)
        missing = {*range(1, newest + 1)} - received
        return newest >= len(self.backlog) and missing == {*self.dead, *self.waiting}


class Delivery:
    """One server and one agent, whose readings are to arrive."""

    agent: Process
    receiver: Receiver

    def __init__(self, site: Site) -> None:
        self.site = site
        self._made = contextlib.ExitStack()

    def serve(self, *steps: str, repeat: bool = False, **options: Any) -> None:
        """Start a receiver that plays these steps."""
        file = self.site.directory / "script.yaml"
        listed = "".join(f"  - {step}\n" for step in steps)
        file.write_text(f"repeat: {str(repeat).lower()}\nsteps:\n{listed}")
        script = load_script(file) if steps else None
        receiver = Receiver(self.site.directory / "received.db", script=script, **options)
        self.receiver = self._made.enter_context(receiver)

    def run(self, backlog: Sequence[str] = BACKLOG, endpoint: str = "", **upload: Any) -> None:
        """Start an agent in whose queue these sensors have readings."""
        now = time.time()
        readings = [
            {"sensor_name": name, "timestamp": now - 60 + place, "value": place}
            for place, name in enumerate(backlog)
        ]
        with CloudSyncQueue(self.site.queue, device_id="pi-7") as queue:
            queue.enqueue_many(map(Submission, readings))
        settings = {"endpoint": endpoint or self.receiver.url, **_UPLOAD, **upload}
        # JSON is YAML, too.
        text = f"upload: {json.dumps(settings)}\n{_SENSORS}"
        self.site.configure(text, queue="commit_interval: 100ms")
        self.agent = self.site.agent()

    def play(self, row: Row) -> None:
        """Run an agent through a whole row, and look at everything that is to come of it."""
        self.run(row.backlog, **row.upload)
        self.wait(row)
        self.end(row)

    def wait(self, row: Row) -> None:
        """Wait until the script is over, the journal says what it should and all has arrived."""
        begins = row.journal
        until(
            lambda: self.says(begins) and self.played() and row.complete(self.received()),
            f"{begins}, all readings and the end of the script",
        )

    def end(self, row: Row, *, settled: bool = True) -> list[int]:
        """Stop the agent, which sends what it can, and compare the books of both ends.

        Args:
            row: how it should have ended.
            settled: whether the server was well at the end; if not, more may wait, and the journal
                may say more.

        Returns:
            the ids that still wait.
        """
        assert self.agent.end() == 0
        with CloudSyncQueue(self.site.queue) as queue:
            ledger = queue.ledger()
        with contextlib.closing(sqlite3.connect(self.site.queue)) as db:
            queued = [number for (number,) in db.execute("SELECT id FROM sync_queue")]
            dead = [number for (number,) in db.execute("SELECT id FROM dead_letters")]
        received = [item.id for item in self.receiver.store.items()]
        everywhere = Counter([*received, *queued, *dead])
        assert everywhere == Counter(range(1, ledger.enqueued + 1)), "each in one place, once"
        assert ledger.closes
        assert ledger.delivered == len(received)
        assert dead == list(row.dead)
        if settled:
            assert queued == list(row.waiting)
            assert self.says(row.journal)
        return queued

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
