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
