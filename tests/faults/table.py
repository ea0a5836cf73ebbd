"""The faults that the agent is built for: each row is at least one test, each item is shown."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table."""

    #: by which tests name it
    key: str
    #: what goes wrong, and each way in which it does
    fault: str
    items: tuple[str, ...]
    required: str
    #: whether the whole agent, in a process of its own, is what must be shown
    is_whole: bool = False


ROWS = (
    Row(
        "kill",
        "`kill -9` at any instant",
        ("at each pwrite", "at each fdatasync", "at each unlink"),
        "Every returned id is there, `integrity_check` is ok, it starts again at once, the ledger"
        " closes.",
        is_whole=True,
    ),
    Row(
        "power cut",
        "A power cut with torn and reordered writes",
        ("durability: full", "durability: normal"),
        "`durability: full`: no acknowledged row is lost, the file is never corrupt; `normal`: it"
        " is never corrupt.",
        is_whole=True,
    ),
    Row(
        "full card",
        "A full card",
        ("full by us", "full by someone else", "no inode left", "a restart on a full card"),
        "The policy of `when_full`; acks and sheds still work (the reserve); the file opens after"
        " a restart on a full card; it heals when room returns.",
        is_whole=True,
    ),
    Row(
        "disk errors",
        "A file system that turns read-only, or fails",
        (
            "read-only",
            "EIO on read",
            "EIO on write",
            "EIO on fsync",
            "an error from COMMIT",
            "one SQLITE_CORRUPT",
        ),
        "A bounded buffer in memory, one line in the journal, written when healed. An error from"
        " COMMIT is not “not committed”: reopen and look before writing again. One"
        " `SQLITE_CORRUPT` is not corruption: reopen, check, only then set aside.",
        is_whole=True,
    ),
    Row(
        "corrupt file",
        "A corrupt queue file",
        (
            "header",
            "random pages",
            "truncated",
            "garbage log",
            "wrong schema",
            "not SQLite",
            "a directory",
        ),
        "Set aside, salvaged, collection within a second, never a crash loop.",
        is_whole=True,
    ),
    Row(
        "clock",
        "A clock that is wrong, or set",
        (
            "by minutes",
            "by days",
            "by years",
            "while running",
            "while stopped",
            "before and after a reboot",
        ),
        "Queue time never goes back: nothing expires, freezes or is overtaken by a step, and"
        " readings taken before the clock was right arrive with the right time.",
        is_whole=True,
    ),
    Row(
        "network",
        "A network that fails",
        (
            "no route",
            "DNS dead",
            "DNS hanging",
            "refused",
            "reset mid-answer",
            "black hole",
            "flapping every few seconds",
            "back after a week",
        ),
        "The poller's schedule is unmoved (p99 jitter), the link is held, the first delivery comes"
        " within 5 s of the link's return when the kernel announces it (a route appears), else"
        " within the back-off.",
        is_whole=True,
    ),
    Row(
        "server",
        "A server that misbehaves",
        (
            "hangs",
            "drips one byte a second",
            "answers 200 to everything with HTML",
            "redirects",
            "1 GB answer",
            "gzip bomb",
            "invalid JSON",
            "wrong ids in the verdict",
            "every status of the verdict table",
            "stores, and its answer is lost",
        ),
        "The verdict table; memory is bounded; no reading is lost, none is delivered twice at the"
        " reference receiver.",
        is_whole=True,
    ),
    Row(
        "tls",
        "TLS that cannot be trusted",
        (
            "expired",
            "wrong host",
            "unknown CA",
            "TLS 1.0 only",
            "client certificate refused",
            "clock in the past",
        ),
        "Refused, the data are kept, the journal says which.",
        is_whole=True,
    ),
    Row(
        "sensor",
        "A sensor that fails",
        (
            "absent",
            "NACKs",
            "hangs in the kernel",
            "garbage",
            "returns after a brown-out",
            "unplugged and another plugged in",
        ),
        "A fault of that sensor alone, with its reason; others keep their ticks; it is read again"
        " as soon as it answers, set up anew; another device's readings are never passed off as"
        " its own.",
    ),
    Row(
        "poison",
        "Poison",
        ("a payload at the queue's door", "an item at the server"),
        "Refused with its path; isolated, dead-lettered, replayable.",
    ),
    Row(
        "configuration",
        "A configuration that cannot be used",
        (
            "unreadable",
            "empty",
            "a list",
            "aliases",
            "5000 brackets",
            "5000-digit integer",
            "wrong encoding",
            "other owner",
            "changed to garbage and SIGHUP",
            "fuzzing",
        ),
        "Every problem at once with its place; the old one keeps running; at start the last good"
        " copy, else exit 78 with the sentences in the journal and no restart storm.",
    ),
    Row(
        "journal",
        "A journal that takes nothing",
        ("stopped", "stdout a full pipe", "stdout closed"),
        "It goes on.",
    ),
    Row(
        "watchdog",
        "A part that is stuck",
        ("poller stuck", "flusher stuck", "store stuck", "whole process stopped"),
        "Restarted, the reason in the journal, nothing lost.",
        is_whole=True,
    ),
    Row(
        "two agents",
        "Two agents on one queue file",
        ("the second",),
        "The second refuses with a sentence.",
    ),
    Row(
        "copies",
        "Two files with one history",
        ("a cloned card", "a restored card image", "a salvaged file"),
        "No `(queue_id, id)` ever names two readings.",
    ),
    Row(
        "condemning server",
        "A server that condemns everything",
        ("bad deployment", "gzip not understood", "wrong schema"),
        "Nothing is dead-lettered without a witness; suspended, restored, resumed.",
    ),
    Row(
        "depth",
        "A backlog of millions",
        ("1,000,000 queued rows", "10,000,000 queued rows"),
        "It starts in the same time, in constant memory, all latencies flat.",
    ),
    Row(
        "week",
        "A week of outage at 10 readings/s, simulated in minutes",
        ("at 10 readings/s",),
        "The ledger closes; the journal has fewer than 2,100 lines of the outage (one summary per"
        " 5 min).",
    ),
)
