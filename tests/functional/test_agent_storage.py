"""The whole agent on storage that is killed under it, full, failing or damaged: nothing is lost."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.card import Card
from fakes.damage import KINDS
from fakes.processes import Process, Site, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import ReceiverStore
from edge_agent.types import Submission

pytestmark = pytest.mark.slow

CONFIG = """
upload: {{endpoint: '{url}', auth: none, interval: 200ms, retry_delay: 100ms,
  max_retry_delay: 500ms}}
health: {{upload_interval: 0s}}
sensors: [{{name: probe, type: simulated, interval: 100ms}}]
"""
NOWHERE = "http://127.0.0.1:9/v1/ingest"
BRISK = "commit_interval: 100ms, when_full: shed, min_free_disk: 0B"


def files_of(site: Site) -> list[str]:
    """Words for strace: the queue's files alone."""
    return [word for part in ("", "-wal", "-shm") for word in ("-P", f"{site.queue}{part}")]


@contextlib.contextmanager
def injected(site: Site, call: str, fault: str) -> Iterator[None]:
    """What is started there meanwhile meets this fault at such calls for the queue's files.

    strace stands aside (-D), so that the process that was started is the agent.
    """
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}"]
    site.within = (
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        f"{site.directory}/trace",
        *files_of(site),
        *inject,
    )
    yield
    site.within = ()


def stored(site: Site) -> int:
    """How many readings ever came into the queue, with those that were taken back."""
    with contextlib.closing(sqlite3.connect(f"file:{site.queue}?mode=ro", uri=True)) as db:
        try:
            found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sync_queue'")
            return int((found.fetchone() or (0,))[0])
        except sqlite3.OperationalError:
            # Not made yet, or on the way from one file to the next.
            return 0


def enqueued(site: Site) -> int:
    """What the books say of it."""
    with CloudSyncQueue(site.queue) as queue:
        return queue.ledger().enqueued


def ids(site: Site) -> set[int]:
    """Of the rows in the file, which is sound and whose books close."""
    with CloudSyncQueue(site.queue) as queue:
        assert queue.ledger().closes
        with queue._store.read() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return {row[0] for row in db.execute("SELECT id FROM sync_queue")}


def go_on(site: Site, readings: int = 20) -> None:
    """So many more readings are stored."""
    before = stored(site)
    until(lambda: stored(site) >= before + readings, "more readings in the queue")


def check_every_id_has_one_place(site: Site) -> str:
    """After a drain: each id was received or shed, once, and the file is sound."""
    with CloudSyncQueue(site.queue) as queue:
        books = queue.ledger()
        with queue._store.read() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            waiting = {row[0] for row in db.execute("SELECT id FROM sync_queue")}
    store = ReceiverStore(site.directory / "received.db")
    there = [item.id for item in store.items()]
    store.close()
    assert books.closes
    assert len(there) == len(set(there)) == books.delivered
    assert not waiting & set(there)
    assert books.delivered + books.queued + books.shed == books.enqueued
    return f"{books.enqueued} stored, {books.delivered} received, {books.shed} shed, 0 lost"


def drain(site: Site) -> str:
    """Let an agent and a receiver finish, and compare their books."""
    _, url = site.receiver()
    site.configure(CONFIG.format(url=url), queue=BRISK)
    agent = site.agent()
    until(lambda: site.status()["delivered_total"] > 0, "a delivery")
    until(lambda: site.status()["health"]["depth"] < 10, "the end of the backlog")
    assert agent.end() == 0
    return check_every_id_has_one_place(site)


@pytest.mark.fault(
    "kill",
    "at each pwrite",
    "at each fdatasync",
    "at each unlink",
    how="strace kills the agent at the n-th such call of a thread, run after run, on one file",
)
@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        ("pwrite64", [*range(1, 22, 4), 34, 55, 89]),
        ("fdatasync", [*range(1, 8), 12, 20]),
        ("unlink", [1]),
    ],
)
def test_agent_killed_at_each_call_goes_on_at_once_and_loses_no_id(
    call: str, numbers: list[int], site: Site, tell: Callable[[str], None]
) -> None:
    """All runs on one file; each next one starts, and at last every id has arrived once."""
    site.configure(CONFIG.format(url=NOWHERE), queue=BRISK)
    kept: set[int] = set()
    for number in numbers:
        with injected(site, call, f"signal=KILL:when={number}"):
            agent = site.begin_agent()
        if call == "unlink":
            # Whoever closes the file last removes the log.
            agent.wait_for("ready")
            go_on(site)
            agent.send(signal.SIGTERM)
        agent.wait()
        assert agent.end() == -signal.SIGKILL
        found = ids(site)
        assert kept <= found
        kept = found
    tell(f"{len(numbers)} kills: {drain(site)}")


@pytest.mark.fault(
    "disk errors",
    "EIO on read",
    "EIO on write",
    "EIO on fsync",
    "an error from COMMIT",
    how="strace fails three such calls of each thread in a row; a failed flush is COMMIT's error",
)
@pytest.mark.parametrize("call", ["pread64", "pwrite64", "fdatasync"])
def test_agent_whose_card_fails_for_a_while_stores_every_reading_once(
    call: str, site: Site, tell: Callable[[str], None]
) -> None:
    """They wait in memory; one line says so and one that it is over."""
    site.configure(CONFIG.format(url=NOWHERE), queue=BRISK)
    with injected(site, call, "error=EIO:when=30..32"):
        agent = site.agent()
    agent.wait_for("store_degraded")
    until(lambda: told(agent, "degraded") == told(agent, "recovered"), "all parts of it to heal")
    go_on(site)
    assert agent.end() == 0
    assert site.status()["read_total"] == enqueued(site)
    assert not list(site.directory.glob("*.corrupt-*"))
    assert told(agent, "degraded") <= len(("poller", "flusher"))
    assert not any("dropped" in line and "dropped=0" not in line for line in agent.lines)
    tell(f"{told(agent, 'degraded')} lines; {drain(site)}")


def told(agent: Process, word: str) -> int:
    """How often the journal says so of the store."""
    return sum(line.startswith(f"store_{word}") for line in agent.lines)


@pytest.fixture
def mount(site: Site, tmp_path: Path) -> Iterator[Callable[..., Card]]:
    """Mounts a card that the queue is put on; the agent is ended before it is taken out."""
    cards: list[Card] = []

    def mount_it(kind: str, size: str, **options: str) -> Card:
        cards.append(Card(tmp_path, kind, size, **options))
        site.queue = cards[-1].path / "q.db"
        return cards[-1]

    yield mount_it
    site.close()
    for card in cards:
        card.close()


@pytest.mark.fault(
    "full card",
    "full by someone else",
    "no inode left",
    "a restart on a full card",
    how="another program takes every byte, or inode, of the agent's tmpfs; it is started again",
)
# The reserve has the inodes of one start.
@pytest.mark.parametrize(("lack", "restarts"), [("bytes", 2), ("inodes", 1)])
def test_agent_on_a_card_that_others_fill_reads_on_and_is_restarted(
    lack: str, restarts: int, site: Site, *, mount: Callable[..., Card], tell: Callable[[str], None]
) -> None:
    """Old rows make room for new ones; when there is room, all that is left arrives once."""
    card = mount("tmpfs", "8M", nr_inodes="64")
    take = {"bytes": card.fill, "inodes": card.take_inodes}[lack]
    site.configure(CONFIG.format(url=NOWHERE), queue=BRISK)
    agent = site.agent()
    go_on(site)
    for _ in range(restarts):
        take()
        go_on(site, 40)
        assert agent.end() == 0
        take()
        agent = site.agent()
        take()
        go_on(site, 40)
    assert not agent.said("store_degraded")
    card.give_back()
    assert agent.end() == 0
    tell(f"no {lack} left, {restarts} restarts: {drain(site)}")


@pytest.mark.fault(
    "full card",
    "full by us",
    how="a tmpfs of 16 MiB under the agent, 64 MiB allowed and 30 MiB queued before its start",
)
def test_agent_that_fills_its_card_sheds_the_oldest_and_reads_on(
    site: Site, mount: Callable[..., Card], tell: Callable[[str], None]
) -> None:
    """More is allowed than there is room."""
    mount("tmpfs", "16M")
    site.configure(
        CONFIG.format(url=NOWHERE),
        queue=f"{BRISK}, max_size: 64MiB",
    )
    with CloudSyncQueue(
        site.queue,
        max_size_bytes=64 << 20,
        min_free_disk_bytes=0,
        when_full="shed",
        unattended=True,
    ) as queue:
        for _ in range(300):
            queue.enqueue_many([Submission({"pad": "x" * 1_000}) for _ in range(100)])
            queue.upkeep()
    agent = site.agent()
    go_on(site, 60)
    assert not agent.said("store_degraded")
    assert agent.end() == 0
    tell(drain(site))
    with CloudSyncQueue(site.queue) as queue:
        assert queue.ledger().shed > 0


@pytest.mark.fault(
    "disk errors",
    "read-only",
    how="the agent's ext4 is remounted read-only before its second start, and writable later",
)
def test_agent_started_on_a_read_only_card_stores_every_reading_when_it_is_writable(
    site: Site, mount: Callable[..., Card], tell: Callable[[str], None]
) -> None:
    """They wait in memory, and nobody restarts it."""
    card = mount("ext4", "24M")
    site.configure(CONFIG.format(url=NOWHERE), queue=BRISK)
    agent = site.agent()
    go_on(site)
    assert agent.end() == 0
    before = enqueued(site)
    card.make_read_only()
    agent = site.agent()
    agent.wait_for("store_degraded reason")
    card.make_writable()
    agent.wait_for("store_recovered dropped=0")
    go_on(site)
    assert agent.end() == 0
    assert sum("store_degraded reason" in line for line in agent.lines) == 1
    assert site.status()["read_total"] == enqueued(site) - before
    tell(drain(site))


#: One kind of damage for each that the table names.
DAMAGE = {
    "header": "header_noise",
    "random pages": "every_tenth_page",
    "truncated": "cut_to_half",
    "garbage log": "log_of_noise",
    "wrong schema": "another_programs",
    "not SQLite": "not_sqlite",
    "a directory": "a_directory",
}


@pytest.mark.fault(
    "corrupt file",
    "header",
    "random pages",
    "truncated",
    "garbage log",
    "wrong schema",
    "not SQLite",
    "a directory",
    how="a file of 2,897 rows is spoilt so, and the agent is started on it",
)
@pytest.mark.parametrize("kind", DAMAGE.values(), ids=DAMAGE)
def test_agent_on_a_damaged_file_reads_on_and_salvages_what_there_is(
    kind: str, site: Site, spoilt: Path, tell: Callable[[str], None]
) -> None:
    """Its first start is its last one; the books close."""
    spoil, fewest = KINDS[kind]
    spoil(spoilt)
    site.queue = spoilt
    site.configure(CONFIG.format(url=NOWHERE), queue=BRISK)
    agent = site.agent()
    ready = time.monotonic()
    until(lambda: site.status()["read_total"] > 0, "a reading")
    go_on(site, 1)
    waited_s = time.monotonic() - ready
    agent.wait_for("store_damaged reason=")
    rows = int(agent.wait_for("salvaged rows=").split("rows=")[1].split()[0])
    assert rows + 100 >= fewest
    assert agent.end() == 0
    assert len(list(site.directory.glob("q.db.corrupt-*Z"))) == 1
    with CloudSyncQueue(site.queue) as queue:
        assert queue.ledger().closes
    tell(f"first reading stored {waited_s:.1f} s after the start, {rows} rows salvaged")
