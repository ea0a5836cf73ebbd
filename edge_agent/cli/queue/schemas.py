"""What ``queue … --json`` prints, as JSON Schema (draft 2020-12); ``--json-schema`` shows it.

A later version may add properties. One that takes any away, or changes a meaning, raises
``version``.
"""

from __future__ import annotations

import dataclasses

from edge_agent.cli.schema_words import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    list_of,
    object_of,
    or_null,
    said,
    whole,
)
from edge_agent.cloud_sync.ledger import Ledger
from edge_agent.types import Priority

_BYTES = said(COUNT, "Bytes.")
_PAYLOAD = said({"type": "object"}, "What goes over the wire as `data`.")
_PRIORITY = said(
    {"enum": [p.value for p in Priority]}, "1 critical, 2 anomaly, 3 telemetry, 4 logs."
)
_CREATED = said(NUMBER, "When it was queued, Unix seconds.")

BY_PRIORITY = object_of(**{priority.word: COUNT for priority in Priority})
_UNKNOWN = said(FLAG, "Whether more was lost to damage, and nobody knows how much.")
LEDGER = said(
    object_of(
        **{
            field.name: _UNKNOWN if field.name == "corrupt_unknown" else COUNT
            for field in dataclasses.fields(Ledger)
        }
    ),
    "Where every row that was ever queued is now.",
)

STATS = whole(
    "pyvorin-agent queue stats --json",
    path=TEXT,
    depth=said(COUNT, "Rows that wait, whatever their TTL or state."),
    by_priority=BY_PRIORITY,
    oldest_s=or_null("number", "For how long the first row has waited; null: there is none."),
    retrying=said(COUNT, "Rows that were sent in vain at least once."),
    retries=said(COUNT, "How often that was, in all."),
    dead_letters=COUNT,
    size_bytes=said(COUNT, "Bytes of the file and its log."),
    ledger=LEDGER,
)

PEEK = whole(
    "pyvorin-agent queue peek --json",
    items=list_of(
        object_of(
            id=COUNT,
            payload=_PAYLOAD,
            priority=_PRIORITY,
            created_at=_CREATED,
            ttl_seconds=COUNT,
            retry_count=COUNT,
            next_retry_at=said(NUMBER, "Before that it is not sent, Unix seconds."),
        )
    ),
)

VERIFY = whole(
    "pyvorin-agent queue verify --json",
    path=TEXT,
    sound=FLAG,
    problems=said(list_of(TEXT), "One sentence each."),
    rows=said(COUNT, "Rows that could be read."),
    dead_letters=said(COUNT, "Dead letters that could be read."),
    size_bytes=said(COUNT, "Bytes of the file without its log."),
    unused_bytes=said(COUNT, "Bytes of it that hold nothing; `queue vacuum` gives them back."),
    log_bytes=_BYTES,
)

VACUUM = whole(
    "pyvorin-agent queue vacuum --json",
    path=TEXT,
    given_back_bytes=_BYTES,
    size_bytes=said(COUNT, "Bytes of the file and its log, now."),
)

EXPORT = whole(
    "pyvorin-agent queue export --json",
    path=said(TEXT, "The file that was written."),
    rows=said(COUNT, "Rows in it."),
    size_bytes=_BYTES,
    moved=said(COUNT, "Rows of it that left the queue."),
    unfit=said(COUNT, "Rows that stay, as their payload is no JSON."),
)

SEND = whole(
    "pyvorin-agent queue send --json",
    delivered=said(COUNT, "Rows of the file that the server took, earlier runs included."),
    refused=said(COUNT, "Rows that it did not want."),
    rejects=or_null("string", "The file with those rows and the reasons; null: there are none."),
    left=said(COUNT, "Rows that another run would send."),
    trouble=or_null("string", "Why they are left; null: nothing is."),
)

PURGE = whole(
    "pyvorin-agent queue purge --json",
    path=TEXT,
    rows=COUNT,
    dead_letters=COUNT,
    gaps=said(COUNT, "Gaps that were still to be told."),
    notes=said(COUNT, "States and lines of history that named the sensor."),
    files=said(list_of(TEXT), "Damaged files that were set aside."),
    given_back_bytes=_BYTES,
    ranges=said(
        list_of(
            object_of(
                queue_id=TEXT,
                device_id=said(TEXT, "Empty where the device had no name."),
                first_id=COUNT,
                last_id=COUNT,
            )
        ),
        "Ids ever given out, whatever became of them: what to ask the server for.",
    ),
    remains=or_null("string", "Why copies may still be there, and what to do; null: none are."),
)

_MISSING = said(list_of(COUNT), "Ids that no dead letter has.")
DEAD_REPLAY = whole("pyvorin-agent queue dead replay --json", replayed=COUNT, missing=_MISSING)
DEAD_DROP = whole("pyvorin-agent queue dead drop --json", dropped=COUNT, missing=_MISSING)

_DEAD = {
    "queue_id": said(TEXT, "With `id`, what names the row for ever."),
    "device_id": TEXT,
    "id": COUNT,
    "payload": _PAYLOAD,
    "priority": _PRIORITY,
    "created_at": _CREATED,
    "ttl_seconds": COUNT,
    "retry_count": COUNT,
    "died_at": said(NUMBER, "When it was condemned, Unix seconds."),
    "reason": said(TEXT, "The answer that condemned it."),
}
DEAD_LIST = whole("pyvorin-agent queue dead list --json", dead_letters=list_of(object_of(**_DEAD)))
DEAD_SHOW = whole("pyvorin-agent queue dead show --json", **_DEAD)
