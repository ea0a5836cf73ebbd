"""The status document as a Prometheus text file, for node_exporter's textfile collector.

No port is opened and nothing is pulled: the file stands beside ``status.json`` and is replaced with
it. What the ledger counts goes on over restarts; what is said to be since the start begins anew.

Source:
    https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4; the names as in
    https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from edge_agent.cloud_sync.schema import ENTRIES
from edge_agent.daemon.runs import ENDS
from edge_agent.types import Priority

_Status = Mapping[str, Any]
#: Label values in front of what is measured; the label is empty where a family has one sample.
_Samples = Mapping[str, float | None]

#: All states of the link, so that one that is not has a 0 and no hole.
LINK_STATES = ("up", "down", "held", "suspended", "untried", "store_only")
#: What leaves the ledger again: a person may have dead letters replayed.
_GAUGES = ("dead",)
_SECONDS_PER_HOUR = 3600


class _Family(NamedTuple):
    """One metric: its name after ``pyvorin_``, type, meaning, label, and where it comes from."""

    name: str
    kind: str
    meaning: str
    label: str
    samples: Callable[[_Status], _Samples]


def _health(name: str, times: int = 1) -> Callable[[_Status], _Samples]:
    """One field of the health line."""

    def samples(status: _Status) -> _Samples:
        value = status["health"][name]
        return {"": None if value is None else value * times}

    return samples


def _top(name: str) -> Callable[[_Status], _Samples]:
    return lambda status: {"": status[name]}


def _total(name: str) -> Callable[[_Status], _Samples]:
    return lambda status: {"": status["totals"][name]}


def _is(name: str, word: str) -> Callable[[_Status], _Samples]:
    return lambda status: {"": float(status["health"][name] == word)}


def _each_sensor(look: Callable[[_Status], float]) -> Callable[[_Status], _Samples]:
    return lambda status: {name: look(sensor) for name, sensor in status["sensors"].items()}


def _rows(status: _Status) -> _Samples:
    return {priority.word: status["health"][priority.word] for priority in Priority}


def _link(status: _Status) -> _Samples:
    return {state: float(status["health"]["link"] == state) for state in LINK_STATES}


def _previous_run(status: _Status) -> _Samples:
    run = status["previous_run"]
    return {} if run is None else {end: float(run["ended"] == end) for end in ENDS}


def _last_readings(status: _Status) -> _Samples:
    sensors = status["sensors"].values()
    return {name: last["timestamp"] for one in sensors for name, last in one["last"].items()}


_LEDGER = {
    "delivered": "Readings that the server took.",
    "expired": "Readings that outlived their TTL.",
    "shed": "Readings that went for want of room.",
    "thinned": "Readings that were thinned out for want of room.",
    "dead": "Readings that the server condemned, and nobody has replayed.",
    "exported": "Readings that a person took away.",
    "discarded": "Readings that a person deleted.",
    "corrupt": "Readings lost to damage.",
    "rejected": "Readings refused for want of room.",
}


def _ledger() -> Iterator[_Family]:
    for entry in ENTRIES:
        if entry in _GAUGES:
            yield _Family(f"{entry}_rows", "gauge", _LEDGER[entry], "", _total(entry))
        else:
            yield _Family(f"{entry}_total", "counter", _LEDGER[entry], "", _total(entry))


FAMILIES = (
    _Family("status_timestamp_seconds", "gauge", "When this was written.", "", _top("at")),
    _Family("uptime_seconds", "gauge", "How long the agent has run.", "", _top("uptime_s")),
    _Family(
        "previous_run_end",
        "gauge",
        "1 for how the run before this one ended; absent where there was none.",
        "state",
        _previous_run,
    ),
    _Family("queue_rows", "gauge", "Readings that wait.", "priority", _rows),
    _Family("queue_oldest_seconds", "gauge", "Age of the oldest.", "", _health("oldest_s")),
    _Family("queue_retrying_rows", "gauge", "Wait for another try.", "", _health("retrying")),
    _Family("queue_size_bytes", "gauge", "The file and its log.", "", _health("size_bytes")),
    _Family("enqueued_total", "counter", "Readings ever stored.", "", _total("enqueued")),
    *_ledger(),
    _Family("disk_free_bytes", "gauge", "Free on the queue's disk.", "", _health("free_bytes")),
    _Family(
        "queue_left_seconds",
        "gauge",
        "For how long what comes still fits; absent while nothing grows.",
        "",
        _health("hours_left", _SECONDS_PER_HOUR),
    ),
    _Family(
        "queue_drain_seconds",
        "gauge",
        "Until nothing waits at the present rate; absent while it does not drain.",
        "",
        _top("drain_s"),
    ),
    _Family(
        "wear_today_bytes",
        "gauge",
        "Written to the card since local midnight.",
        "",
        _health("wear_bytes_today"),
    ),
    _Family("link_state", "gauge", "1 for the state that the link is in.", "state", _link),
    _Family("link_state_seconds", "gauge", "For how long it is in it.", "", _health("link_s")),
    _Family("link_next_try_seconds", "gauge", "Until the next try.", "", _health("next_try_s")),
    _Family(
        "last_delivery_seconds",
        "gauge",
        "Since the server last took something.",
        "",
        _health("last_delivery_s"),
    ),
    _Family("sent_today_rows", "gauge", "Sent since midnight.", "", _health("sent_today")),
    _Family(
        "sent_today_bytes",
        "gauge",
        "Sent since local midnight, failed attempts too.",
        "",
        lambda status: {"": status["quota"]["daily"]["sent_bytes"]},
    ),
    _Family(
        "sent_month_bytes",
        "gauge",
        "Sent since the month's reset day, failed attempts too.",
        "",
        _health("sent_bytes_month"),
    ),
    _Family(
        "clock_synchronized", "gauge", "Whether the time is right.", "", _is("clock", "synced")
    ),
    _Family(
        "config_current",
        "gauge",
        "0: the file is bad, and the agent runs on the last good one.",
        "",
        _is("config", "current"),
    ),
    _Family("readings_total", "counter", "Readings since the start.", "", _top("read_total")),
    _Family(
        "sensor_well",
        "gauge",
        "0: it, or a channel of it, is faulty.",
        "sensor",
        _each_sensor(lambda sensor: float(not sensor["faults"])),
    ),
    _Family(
        "sensor_faults_total",
        "counter",
        "Faults of it and of its channels since it was first configured.",
        "sensor",
        _each_sensor(lambda sensor: float(sensor["history"]["total"])),
    ),
    _Family(
        "sensor_failures",
        "gauge",
        "Failures in a row.",
        "sensor",
        _each_sensor(lambda sensor: float(sensor["failures"])),
    ),
    _Family(
        "sensor_overruns_total",
        "counter",
        "Ticks missed since the start.",
        "sensor",
        _each_sensor(lambda sensor: float(sensor["overruns"])),
    ),
    _Family(
        "sensor_last_reading_timestamp_seconds",
        "gauge",
        "When a value was last read, by the name that it is sent under.",
        "sensor",
        _last_readings,
    ),
)


def exposition(status: _Status) -> str:
    """The document in Prometheus's text format; what is not known has no sample.

    Args:
        status: as `health.document` makes it.
    """
    lines = []
    for family in FAMILIES:
        name = f"pyvorin_{family.name}"
        lines += [f"# HELP {name} {family.meaning}", f"# TYPE {name} {family.kind}"]
        for word, value in family.samples(status).items():
            if value is not None:
                label = f'{{{family.label}="{escaped(word)}"}}' if family.label else ""
                lines.append(f"{name}{label} {value}")
    return "\n".join([*lines, ""])


def escaped(value: str) -> str:
    """A label's value: backslash, quote and line feed are escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
