"""How the agent is: one snapshot, told as a journal line, a status file, and a reading."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import edge_agent
from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.traffic import Sent
from edge_agent.daemon import process
from edge_agent.daemon.flusher import Flusher
from edge_agent.daemon.growth import Growth, drain_s, hours_left
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.quota import Allowance
from edge_agent.daemon.runs import Run
from edge_agent.daemon.schedule import Slot
from edge_agent.types import SensorReading

#: The health reading's ``sensor_name``.
QUEUE_READING = "agent.queue"


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What there is to tell of."""

    queue: CloudSyncQueue
    poller: Poller
    flusher: Flusher
    clock: Clock
    #: ``current`` or ``last_good``
    config: str
    #: whether there is an endpoint
    sends: bool
    run: Run
    growth: Growth


def line(parts: Parts) -> dict[str, Any]:
    """The fields of the ``queue_health`` line, in its order; a None is left out when written."""
    now = parts.clock.monotonic()
    depths = parts.queue.depths()
    books = parts.queue.ledger()
    link = parts.flusher.link
    faulty = dict(parts.poller.intake.faults.faulty)
    vacancy = parts.queue.bounds.vacancy()
    # What went for want of room would be there otherwise: a full queue grows no more.
    parts.growth.look(books.queued + books.shed + books.thinned + books.rejected, now)
    row_bytes, rate = parts.queue.row_bytes(), parts.growth.rows_per_s()
    return {
        "depth": sum(depths.values()),
        **{priority.word: depth for priority, depth in depths.items()},
        "oldest_s": _whole(parts.queue.oldest_s()),
        "retrying": parts.queue.backed_off(),
        "dead": books.dead,
        "expired": books.expired,
        "shed": books.shed,
        "thinned": books.thinned,
        "link": link.state if parts.sends else "store_only",
        "link_s": _whole(now - link.since) if parts.sends and link.since else None,
        "link_reason": link.reason or None,
        "next_try_s": _whole(max(link.next_try - now, 0.0)) if link.reason else None,
        "last_delivery_s": _whole(_last_delivery_s(parts, now)),
        "sent_today": parts.queue.messages_sent_today,
        "sent_bytes_month": parts.queue.traffic.month().sent_bytes,
        "size_bytes": parts.queue.size_bytes(),
        "free_bytes": vacancy.free_bytes,
        "hours_left": hours_left(vacancy.left_bytes, row_bytes, rate),
        "wear_bytes_today": parts.run.wear.today(),
        "clock": "synced" if parts.clock.synchronized() else "unsynced",
        "config": parts.config,
        "sensors_ok": sum(not _faults(slot, faulty) for slot in parts.poller.slots.values()),
        "faulty": ",".join(sorted(faulty)) or None,
    }


def brief(fields: dict[str, Any]) -> str:
    """The same in a dozen words, for ``systemctl status``."""
    parts = [f"depth {fields['depth']}", f"link {fields['link']}"]
    if fields["link_reason"]:
        parts.append(str(fields["link_reason"]))
    if fields["faulty"]:
        parts.append(f"faulty {fields['faulty']}")
    if fields["config"] != "current":
        parts.append(f"config={fields['config']}")
    return ", ".join(parts)


def reading(fields: dict[str, Any], parts: Parts) -> SensorReading:
    """The same as a reading: the depth, and the rest as metadata.

    ``clock`` has the meaning it has in every reading: it is there only if the clock is not right.
    """
    rest = {name: value for name, value in fields.items() if name != "depth" and value is not None}
    if parts.clock.synchronized():
        del rest["clock"]
    return SensorReading(QUEUE_READING, parts.clock.wall(), fields["depth"], "count", rest)


def document(fields: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """The status file: the line, the sensors, the books and the counts since the start."""
    flusher = parts.flusher
    return {
        "version": 1,
        "agent_version": edge_agent.__version__,
        "pid": os.getpid(),
        "start_ticks": process.start_ticks(os.getpid()),
        "at": parts.clock.wall(),
        "uptime_s": parts.run.uptime_s,
        "previous_run": parts.run.previous,
        "queue": str(parts.queue.path),
        "health": fields,
        "totals": parts.queue.totals(),
        "growth_per_s": (rate := parts.growth.rows_per_s()),
        "drain_s": drain_s(fields["depth"], rate),
        "read_total": parts.poller.intake.read_total,
        "overruns_total": parts.poller.overruns_total,
        "delivered_total": flusher.delivered_total,
        "attempts_total": flusher.link.attempts_total,
        "request": {
            "items": flusher.sizing.items,
            "max_bytes": flusher.sizing.max_bytes,
            "quota_reached": flusher.quota.reached,
        },
        "quota": {name: _period(*spent) for name, spent in flusher.quota.periods().items()},
        "link": {"do": flusher.link.remedy if parts.sends else None},
        "sensors": {name: _sensor(slot, parts) for name, slot in parts.poller.slots.items()},
    }


def write_atomically(path: Path, content: str) -> None:
    """Replace the file in one go, readable by all; not flushed: it is worth nothing after a cut.

    Raises:
        OSError: it could not be written; the old one is still there.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


def _last_delivery_s(parts: Parts, now: float) -> float | None:
    """How long ago something was delivered, in an earlier run by the wall clock as it then was."""
    if (in_this_run := parts.flusher.last_delivery) is not None:
        return now - in_this_run
    before = parts.queue.last_flush_time
    ago_s = None if before is None else parts.clock.wall() - before
    return ago_s if ago_s is not None and ago_s >= 0 else None


def _period(allowance: Allowance, sent: Sent) -> dict[str, int | None]:
    """What a quota allows, None: as much as there is; and what was sent."""
    return {
        "messages": allowance.messages,
        "sent_messages": sent.items,
        "bytes": allowance.sent_bytes,
        "sent_bytes": sent.sent_bytes,
    }


def _sensor(slot: Slot, parts: Parts) -> dict[str, Any]:
    """One sensor: its last readings, and its faults if it has any."""
    # The poller's thread may add to the dictionary meanwhile; a copy is made in one go.
    last = dict(slot.last)
    intake = parts.poller.intake
    faults, history = _faults(slot, dict(intake.faults.faulty)), intake.history.told(slot.plan.name)
    details = dict(intake.details)
    since = {fault["name"]: fault["from"] for fault in history["last"] if fault["to"] is None}
    return {
        "last": {name: reading.to_dict() for name, reading in last.items()},
        "failures": slot.failures,
        "overruns": slot.overruns,
        "faults": faults,
        # Of one from before the history was kept nobody knows.
        "details": {name: details[name] for name in faults if name in details},
        "faulty_since": {name: since[name] for name in faults if name in since},
        "history": history,
    }


def _faults(slot: Slot, faulty: dict[str, str]) -> dict[str, str]:
    """The faults of a sensor and of its channels, by name."""
    return {name: why for name, why in sorted(faulty.items()) if slot.plan.bears(name)}


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)
