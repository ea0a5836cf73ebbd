"""What `check`, `flush` and `receive` print with ``--json``; ``--json-schema`` shows it."""

from __future__ import annotations

from edge_agent.cli.schema_words import (
    COUNT,
    TEXT,
    by_name,
    either,
    list_of,
    object_of,
    or_null,
    said,
    whole,
)

CHECK = whole(
    "pyvorin-agent check --json",
    file=TEXT,
    problems=said(list_of(TEXT), "file:line:column: key.path: what is wrong; empty: nothing is."),
    sensors=or_null("integer", "How many there are; null: there are problems."),
    endpoint=or_null("string", "Its host and no more; null: store only, or there are problems."),
)

FLUSH = whole(
    "pyvorin-agent flush --json",
    delivered=said(COUNT, "Readings that the server took since this was asked for."),
    waiting=said(COUNT, "Readings still in the queue."),
)

RECEIVE = either(
    "pyvorin-agent receive --json",
    said(
        object_of(receiving=said(TEXT, "The URL to send to."), db=TEXT),
        "The first line, as soon as it listens.",
    ),
    said(
        object_of(
            requests=said(COUNT, "Those accepted since the file was made."),
            items=said(COUNT, "Those stored since the file was made."),
            repeated=said(COUNT, "Those that came once more, and were not stored again."),
            answers=by_name(COUNT, "How often each status was answered; none: with nothing."),
            steps=list_of(
                object_of(
                    step=said(COUNT, "Its number in the script, from 1 on."),
                    do=TEXT,
                    done=said(COUNT, "Requests, or connections, that it was done to."),
                    passed=said(COUNT, "Requests that it was not about."),
                    stored=said(COUNT, "Items stored while it was the current step."),
                )
            ),
        ),
        "The last line, at the end.",
    ),
)
