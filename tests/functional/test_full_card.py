"""A real card that is full, or fails: what collection saw, what was kept, and how long it paused.

Each test mounts a file system of its own, so these run as root. What they measured stands in the
report's properties, and is printed.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.card import Card
from fakes.clock import FakeClock
from fakes.told import Told

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.daemon.pending import LONGEST_PAUSE_S, Pending
from edge_agent.errors import StoreError
from edge_agent.types import SensorReading, Submission

MIB = 1 << 20
UPKEEP_EVERY_S = 10
Mount = Callable[..., Card]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts cards, and takes them out at the end."""
    cards: list[Card] = []

    def mount_it(kind: str, size: str, **options: str) -> Card:
        cards.append(Card(tmp_path, kind, size, **options))
        return cards[-1]

    yield mount_it
    for card in cards:
        card.close()


@dataclasses.dataclass
class Seen:
    """What the callers were told while the card was as it was."""

    calls: int = 0
    refused: Counter[str] = dataclasses.field(default_factory=Counter)
    #: virtual seconds between a reading and its commit, at the most
    paused_s: float = 0.0


class Collection:
    """The agent's own `Pending` and a flusher that acks, on one card, a virtual second a turn."""

    def __init__(self, card: Card, clock: FakeClock, *, max_size_bytes: int = 4 * MIB) -> None:
        self.told = Told()
        self.seen = Seen()
        self.numbers = 0
        self.acked: list[int] = []
        self._clock = clock
        self._how: dict[str, Any] = {
            "db_path": card.path / "q.db",
            "clock": clock,
            "max_size_bytes": max_size_bytes,
            "min_free_disk_bytes": 0,
            "when_full": "shed",
            "unattended": True,
        }
        self.open()

    def open(self) -> None:
        """Start, or start again with what was in memory gone."""
        self.queue = CloudSyncQueue(**self._how)
        self.pending = Pending(
            self.queue, commit_interval_s=1.0, say=self.told, committed=lambda: None
        )

    def run(self, turns: int, *, meanwhile: Callable[[], object] = lambda: None) -> Seen:
        """So many seconds: readings in, some delivered and put off, and upkeep now and then."""
        self.seen = Seen()
        waiting_since = self._clock.monotonic()
        for turn in range(turns):
            self._clock.advance(1.0)
            now = self._clock.monotonic()
            self._read()
            self.pending.add(self._reading(), now - 1.0)
            self.pending.step(now)
            waiting_since = waiting_since if len(self.pending) else now
            self.seen.paused_s = max(self.seen.paused_s, now - waiting_since)
            self._attempt(self._deliver)
            if turn % UPKEEP_EVERY_S == 0:
                self._attempt(self.queue.upkeep)
                self._attempt(lambda: self.queue.memory.save("driver", {"numbers": self.numbers}))
            meanwhile()
        return self.seen

    def heal(self) -> None:
        """Long enough for the longest pause between two tries."""
        self.run(int(LONGEST_PAUSE_S) + 2)
        assert not self.pending.trouble
        assert not len(self.pending)

    def check(self) -> str:
        """Nothing that was stored is missing, the file is whole, the books close; what was kept."""
        books = self.queue.ledger()
        with self.queue._store.read() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            found = [n for (n,) in db.execute("SELECT payload ->> 'timestamp' FROM sync_queue")]
        assert books.closes
        assert books.enqueued == self.pending.committed_total
        assert books.delivered == len(self.acked) == len(set(self.acked))
        assert len(set(found)) == len(found) == books.queued
        assert not set(found) & set(self.acked)
        assert len(found) + len(self.acked) + books.shed == books.enqueued
        assert self.pending.dropped_total == 0
        return f"{books.queued} queued, {books.delivered} delivered, {books.shed} shed, 0 lost"

    def _reading(self, pad: int = 150) -> Submission:
        self.numbers += 1
        reading = SensorReading("a", self.numbers, 2.5, "celsius", {"pad": "x" * pad})
        return Submission(reading.to_dict())

    def _read(self) -> None:
        """Two more readings in the same second."""
        for _ in range(2):
            self.pending.add(self._reading(), self._clock.monotonic() - 1.0)

    def _deliver(self) -> None:
        """Take the first two, put one off and ack the other."""
        items = self.queue.dequeue(2)
        if len(items) == 2:
            self.queue.nack([items[1].id], 0.0)
            self.queue.ack([items[0].id])
            self.acked.append(items[0].payload["timestamp"])

    def _attempt(self, act: Callable[[], object]) -> None:
        self.seen.calls += 1
        try:
            act()
        except StoreError as exc:
            self.seen.refused[exc.reason] += 1


@pytest.fixture
def note(tell: Callable[[str], None]) -> Callable[[str, Seen, str], None]:
    """Writes a line of the table: the fault, what the callers saw, what was kept, the pause."""

    def write(fault: str, seen: Seen, kept: str) -> None:
        saw = ", ".join(f"{number} x {name}" for name, number in seen.refused.items()) or "nothing"
        tell(f"{fault}: {saw} in {seen.calls} calls, {kept}, paused {seen.paused_s:g} s")

    return write


Note = Callable[[str, Seen, str], None]


@pytest.mark.fault(
    "full card",
    "full by someone else",
    how="another program writes to the last byte of tmpfs and ext4, after each reading",
    part="pending and queue, in the test's process",
)
@pytest.mark.parametrize(("kind", "size"), [("tmpfs", "8M"), ("ext4", "24M")])
def test_card_filled_by_others_to_the_last_byte_takes_readings_for_ever(
    kind: str, size: str, mount: Mount, clock: FakeClock, note: Note
) -> None:
    """The reserve is spent once and never comes back: old rows make room for new ones."""
    card = mount(kind, size)
    collection = Collection(card, clock)
    collection.run(60)
    card.fill()
    seen = collection.run(300, meanwhile=card.fill)
    kept = collection.check()
    assert seen.refused == {}
    assert seen.paused_s == 0.0
    assert not (card.path / "q.db.reserve").exists()
    assert os.statvfs(card.path).f_bavail == 0
    note(f"{kind} filled by others", seen, kept)
    card.give_back()
    collection.heal()
    collection.run(UPKEEP_EVERY_S)
    assert (card.path / "q.db.reserve").exists()
    assert collection.queue.bounds.disk_low is None
    collection.check()
    collection.queue.close()


@pytest.mark.fault(
    "full card",
    "full by us",
    how="a tmpfs of 16 MiB, and 64 MiB allowed",
    part="pending and queue, in the test's process",
)
def test_card_filled_by_us_keeps_the_newest(mount: Mount, clock: FakeClock, note: Note) -> None:
    """More is allowed than there is room: the oldest go, what is new is stored."""
    card = mount("tmpfs", "16M")
    collection = Collection(card, clock, max_size_bytes=64 * MIB)
    for _ in range(300):
        collection.queue.enqueue_many([collection._reading(pad=1_000) for _ in range(100)])
        collection.pending.committed_total += 100
        collection.queue.upkeep()
    seen = collection.run(120)
    kept = collection.check()
    assert seen.refused == {}
    assert collection.queue.ledger().shed > 0
    with collection.queue._store.read() as db:
        newest = db.execute("SELECT max(payload ->> 'timestamp') FROM sync_queue").fetchone()[0]
    assert newest == collection.numbers
    assert collection.queue.pending_count() * 1_000 > 8 * MIB
    note("tmpfs filled by us", seen, kept)
    collection.queue.close()


@pytest.mark.fault(
    "full card",
    "full by us",
    how="a tmpfs of 16 MiB is filled with a program's own payloads, which look like events",
    part="the queue, in the test's process",
)
def test_card_full_of_events_takes_new_ones(mount: Mount, tell: Callable[[str], None]) -> None:
    """They are too many to be looked through for readings in front of one insert."""
    card = mount("tmpfs", "16M")
    with CloudSyncQueue(
        card.path / "q.db",
        durability="normal",
        max_size_bytes=64 * MIB,
        min_free_disk_bytes=0,
        when_full="shed",
    ) as queue:
        for _ in range(500):
            queue.enqueue_many([Submission({"text": "x" * 300})] * 100)
            queue.upkeep()
        books = queue.ledger()
    assert books.closes
    assert books.queued > 10_000
    assert books.shed > 0
    tell(f"{books.enqueued} stored, {books.queued} queued, {books.shed} shed")


@pytest.mark.fault(
    "full card",
    "full by someone else",
    how="every byte that is freed is taken by another program at once",
    part="pending and queue, in the test's process",
)
def test_card_filled_to_the_last_byte_takes_ten_thousand_turns(mount: Mount, note: Note) -> None:
    """In and out, with every byte that is freed taken by another program at once."""
    card = mount("tmpfs", "4M")
    seen = Seen()
    with CloudSyncQueue(
        card.path / "q.db", durability="normal", max_size_bytes=2 * MIB, min_free_disk_bytes=0
    ) as queue:
        queue.enqueue_many([Submission({"n": n, "pad": "x" * 200}) for n in range(500)])
        queue.upkeep()
        card.fill()
        for turn in range(10_000):
            seen.calls += 1
            queue.ack([queue.enqueue({"turn": turn, "pad": "x" * 200})])
            if turn % 100 == 0:
                card.fill()
                queue.upkeep()
        books = queue.ledger()
        assert books.closes
        assert books.delivered == 10_000
        assert os.statvfs(card.path).f_bavail == 0
        assert not (card.path / "q.db.reserve").exists()
    note("tmpfs full, 10,000 turns", seen, f"{books.queued} queued, {books.shed} shed")


@pytest.mark.fault(
    "full card",
    "a restart on a full card",
    how="closed and opened three times on a tmpfs and an ext4 without a free byte",
    part="pending and queue, in the test's process",
)
@pytest.mark.parametrize(("kind", "size"), [("tmpfs", "8M"), ("ext4", "24M")])
def test_restart_on_a_full_card_goes_on(
    kind: str, size: str, mount: Mount, clock: FakeClock, note: Note
) -> None:
    """The log and its index cannot be made: the reserve gives them their room."""
    card = mount(kind, size)
    collection = Collection(card, clock)
    collection.run(60)
    for _ in range(3):
        card.fill()
        collection.run(20)
        committed = collection.pending.committed_total
        collection.queue.close()
        card.fill()
        collection.open()
        collection.pending.committed_total = committed
        card.fill()
        seen = collection.run(60, meanwhile=card.fill)
        assert seen.refused == {}
        kept = collection.check()
    note(f"{kind}, restart on the full card", seen, kept)
    collection.queue.close()


@pytest.mark.fault(
    "full card",
    "no inode left",
    how="another program makes files until none can be made",
    part="pending and queue, in the test's process",
)
def test_card_without_an_inode_is_opened_and_written(
    mount: Mount, clock: FakeClock, note: Note
) -> None:
    """Running needs no new file; a restart takes the reserve's two inodes."""
    card = mount("tmpfs", "8M", nr_inodes="64")
    collection = Collection(card, clock)
    collection.run(60)
    card.take_inodes()
    seen = collection.run(60)
    assert seen.refused == {}
    committed = collection.pending.committed_total
    collection.queue.close()
    card.take_inodes()
    collection.open()
    collection.pending.committed_total = committed
    card.take_inodes()
    after = collection.run(60)
    assert after.refused == {}
    note("tmpfs without an inode, and a restart", after, collection.check())
    collection.queue.close()


@pytest.mark.fault(
    "disk errors",
    "read-only",
    how="an ext4 finds an error, and takes no writes until it was mended",
    part="pending and queue, in the test's process",
)
def test_ext4_that_fails_loses_nothing_and_is_written_when_mended(
    mount: Mount, clock: FakeClock, note: Note
) -> None:
    """The kernel makes it read-only with our files open; mended, it goes on without a restart."""
    card = mount("ext4", "24M")
    collection = Collection(card, clock)
    collection.run(60)
    card.fail()
    seen = collection.run(120)
    assert seen.refused
    assert collection.told.events == ["store_degraded"]
    assert seen.paused_s > 100.0
    card.repair()
    collection.heal()
    assert collection.told.events == ["store_degraded", "store_recovered"]
    note("ext4 aborted by an error, 120 s", seen, collection.check())
    assert not list(card.path.glob("*.corrupt-*"))
    collection.queue.close()


@pytest.mark.fault(
    "disk errors",
    "read-only",
    how="an ext4 is remounted read-only before the start",
    part="pending and queue, in the test's process",
)
def test_start_on_a_read_only_card_collects_and_writes_when_it_is_writable(
    mount: Mount, clock: FakeClock, note: Note
) -> None:
    """Readings wait in memory; one line says so, one that it is over."""
    card = mount("ext4", "24M")
    collection = Collection(card, clock)
    collection.run(60)
    committed = collection.pending.committed_total
    collection.queue.close()
    card.make_read_only()
    collection.open()
    collection.pending.committed_total = committed
    seen = collection.run(120)
    assert seen.refused
    card.make_writable()
    collection.heal()
    assert collection.told.events == ["store_degraded", "store_recovered"]
    note("ext4 remounted read-only, 120 s", seen, collection.check())
    collection.queue.close()


def test_low_card_says_whose_the_bytes_are(mount: Mount) -> None:
    """Ours where emptying the queue would help, else the others'."""
    card = mount("tmpfs", "16M")
    with CloudSyncQueue(
        card.path / "q.db", durability="normal", min_free_disk_bytes=14 * MIB
    ) as queue:
        queue.enqueue_many([Submission({"pad": "x" * 1_000}, Priority.LOGS)] * 2_500)
        queue.upkeep()
        ours = queue.bounds.disk_low
        card.fill()
        queue.upkeep()
        theirs = queue.bounds.disk_low
    assert ours is not None
    assert theirs is not None
    assert (ours.whose, theirs.whose) == ("queue", "others")
    assert ours.ours_bytes > 2_500 * 1_000
    assert theirs.free_bytes == 0
