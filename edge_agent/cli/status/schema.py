"""What ``status --json`` prints, as JSON Schema; ``--json-schema`` shows it."""

from __future__ import annotations

from edge_agent.cli.queue.schemas import BY_PRIORITY, LEDGER
from edge_agent.cli.schema_words import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    by_name,
    list_of,
    object_of,
    or_null,
    said,
    whole,
)
from edge_agent.types import Priority

_RUN = {
    "description": "How the last run, or of a running agent the one before, ended; null: none did.",
    "anyOf": [
        {"type": "null"},
        object_of(
            ended=said(TEXT, "stopped, killed, power_cut (or a reboot without a stop), watchdog."),
            reason=or_null("string", "What the watchdog found."),
            uptime_s=said(COUNT, "As last noted: up to five minutes less than it was."),
            version=TEXT,
        ),
    ],
}

_HEALTH = object_of(
    depth=COUNT,
    **{priority.word: COUNT for priority in Priority},
    oldest_s=or_null("integer", "Null: the queue is empty."),
    retrying=said(COUNT, "Rows that wait for another try."),
    dead=COUNT,
    expired=COUNT,
    shed=COUNT,
    thinned=COUNT,
    link=said(TEXT, "up, down, held, suspended, untried or store_only."),
    link_s=or_null("integer", "For how long it is in that state."),
    link_reason=or_null("string", "The last error; null: none since something worked."),
    next_try_s=or_null("integer", "Seconds from `at` on."),
    last_delivery_s=or_null("integer", "Null: nothing was delivered, or nobody knows when."),
    sent_today=COUNT,
    sent_bytes_month=COUNT,
    size_bytes=COUNT,
    free_bytes=or_null("integer", "Of the queue's disk."),
    hours_left=or_null("integer", "For how long what comes still fits; null: nothing grows."),
    wear_bytes_today=or_null("integer", "Written to the card; null: nobody can say."),
    clock=said(TEXT, "synced or unsynced."),
    config=said(TEXT, "current or last_good."),
    sensors_ok=COUNT,
    faulty=or_null("string", "Names with commas between them."),
)

_SENSOR = object_of(
    last=by_name(
        object_of(
            sensor_name=TEXT,
            timestamp=said(NUMBER, "Unix seconds."),
            value={"type": ["number", "boolean", "string"]},
            unit=TEXT,
            metadata={"type": "object"},
        ),
        "The last reading of each channel.",
    ),
    failures=said(COUNT, "In a row."),
    overruns=said(COUNT, "Ticks missed since the start."),
    faults=by_name(TEXT, "Why the sensor, or a channel of it, is faulty; empty: it is well."),
    details=by_name(TEXT, "The same in a sentence, as the journal has it; not of each."),
    faulty_since=by_name(NUMBER, "Unix seconds; not where nobody knows."),
    history=said(
        object_of(
            since=or_null("number", "Since when they are counted, Unix seconds; null: not known."),
            total=COUNT,
            last=list_of(
                object_of(
                    name=said(TEXT, "The sensor's, or a channel's."),
                    reason=TEXT,
                    **{
                        "from": said(NUMBER, "Unix seconds."),
                        "to": or_null("number", "Unix seconds; null: it goes on."),
                    },
                )
            ),
        ),
        "The faults of the sensor and its channels, over restarts.",
    ),
)

_AGENT = object_of(
    version={"const": 1},
    agent_version=TEXT,
    pid=COUNT,
    start_ticks=or_null("integer", "When it started, in the kernel's clock ticks since boot."),
    at=said(NUMBER, "When the agent wrote this, Unix seconds."),
    uptime_s=COUNT,
    previous_run=_RUN,
    queue=TEXT,
    health=said(_HEALTH, "The journal's queue_health line."),
    totals=by_name(COUNT, "The ledger, but for what is queued."),
    growth_per_s=or_null("number", "Rows; below 0 while it drains; null: not known yet."),
    drain_s=or_null("integer", "Until nothing waits at that rate; null: it does not drain."),
    read_total=COUNT,
    overruns_total=COUNT,
    delivered_total=said(COUNT, "Since the start."),
    attempts_total=said(COUNT, "Requests that were tried since the start."),
    request=object_of(
        items=COUNT, max_bytes=COUNT, quota_reached=said(TEXT, "Empty: no quota is reached.")
    ),
    quota=by_name(
        object_of(
            messages=or_null("integer", "Allowed; null: as many as there are."),
            sent_messages=COUNT,
            bytes=or_null("integer", "Allowed; null: as many as there are."),
            sent_bytes=COUNT,
        ),
        "daily and monthly.",
    ),
    link=object_of(do=or_null("string", "What a person can do about it; null: nothing.")),
    sensors=by_name(_SENSOR, "By the name in the configuration."),
)

_WEAR = object_of(
    bytes_a_day=or_null(
        "integer",
        "Written to the card by the agent, on average over the last month or two of running; null:"
        " that is known after an hour.",
    ),
    over_s=said(COUNT, "Seconds of running that the average is of."),
    endurance={
        "description": "What that means to a card of the stated endurance; null: none was stated.",
        "anyOf": [
            {"type": "null"},
            object_of(
                bytes=COUNT,
                share_a_year=or_null("number", "1: all of it; null: not known yet."),
                years=or_null("number", "For which it would last, if nothing else wrote to it."),
            ),
        ],
    },
    card={
        "description": "What the card says of itself, as eMMC does; null: nothing.",
        "anyOf": [
            {"type": "null"},
            object_of(
                name=TEXT,
                used_percent=said(COUNT, "Of its life, in steps of ten, rounded down."),
                spare=said(TEXT, "Its spare blocks: enough, low, used_up or unknown."),
            ),
        ],
    },
)

STATUS = whole(
    "pyvorin-agent status --json",
    at=said(NUMBER, "When this was looked at, Unix seconds."),
    running=FLAG,
    queue=object_of(
        path=TEXT,
        depth=COUNT,
        by_priority=BY_PRIORITY,
        oldest_s=or_null("number", "Null: it is empty."),
        size_bytes=COUNT,
        delivered_at=or_null("number", "Unix seconds, as the clock then was; null: never."),
    ),
    wear=_WEAR,
    ledger=LEDGER,
    last_run=_RUN,
    certificate={
        "description": "The server's, where the agent does not trust it; null: it does, or nobody"
        " knows.",
        "anyOf": [
            {"type": "null"},
            object_of(
                issuer=TEXT,
                hosts=list_of(TEXT),
                **{"from": said(NUMBER, "Unix seconds."), "to": said(NUMBER, "Unix seconds.")},
            ),
        ],
    },
    agent={
        "description": "What a running agent last wrote of itself; empty: none runs.",
        "anyOf": [{"type": "object", "maxProperties": 0}, _AGENT],
    },
)
# Only with --history.
STATUS["properties"]["history"] = said(
    list_of(object_of(at=said(NUMBER, "Unix seconds."), event=TEXT)),
    "The last 200 changes of state, oldest first; with --history.",
)
