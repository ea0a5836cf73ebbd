"""What ``sensors … --json`` prints, as JSON Schema (draft 2020-12); ``--json-schema`` shows it."""

from __future__ import annotations

from edge_agent.cli.schema_words import (
    COUNT,
    FLAG,
    TEXT,
    by_name,
    list_of,
    object_of,
    or_null,
    said,
    whole,
)

TYPES = whole(
    "pyvorin-agent sensors types --json",
    types=list_of(
        object_of(
            type=said(TEXT, "What `type:` in the configuration says."),
            broken=or_null("string", "Why a plugin cannot be used; null: it can."),
            summary=TEXT,
            wiring=TEXT,
            channels=list_of(
                object_of(name=said(TEXT, "Empty where there is just one."), unit=TEXT)
            ),
            options=list_of(
                object_of(
                    key=said(TEXT, "NAME stands for a channel's name."),
                    written=said(TEXT, "How the value is written, and its range."),
                    default=said(TEXT, "As it would be written; empty where there is none."),
                    required=FLAG,
                    meaning=TEXT,
                )
            ),
        )
    ),
)

READ = whole(
    "pyvorin-agent sensors read --json",
    running=said(FLAG, "Whether these are a running agent's last readings."),
    sensors=list_of(
        object_of(
            name=TEXT,
            readings=list_of(
                object_of(
                    sensor_name=TEXT,
                    timestamp=said({"type": "number"}, "Unix seconds."),
                    age_s=said({"type": "number"}, "How long ago that was."),
                    value={"type": ["number", "boolean", "string"]},
                    unit=TEXT,
                    metadata={"type": "object"},
                )
            ),
            faults=by_name(
                TEXT, "What is wrong, by the sensor's or a channel's name; empty: nothing."
            ),
        )
    ),
)

SCAN = whole(
    "pyvorin-agent sensors scan --json",
    buses=list_of(
        object_of(
            bus=said({"type": ["integer", "string"]}, "As `bus:` in the configuration says it."),
            label=said(TEXT, "What the kernel calls it."),
            searched=said(FLAG, "Whether its addresses were asked."),
            error=or_null("string", "Why the search did not come to its end."),
            chips=list_of(
                object_of(
                    address=COUNT,
                    asked=said(FLAG, "False: it was left alone."),
                    driver=or_null("string", "The kernel driver that owns it."),
                    through=or_null("string", "The sensor type that reads it through the kernel."),
                    sensor=or_null("string", "The configured sensor that it belongs to."),
                    types=said(list_of(TEXT), "The sensor types at home there, likeliest first."),
                )
            ),
        )
    ),
    kernel=list_of(
        object_of(
            type=TEXT,
            options=said({"type": "object"}, "What else the configuration has to say."),
            what=TEXT,
            sensor=or_null("string", "The configured sensor that reads it."),
        )
    ),
)
