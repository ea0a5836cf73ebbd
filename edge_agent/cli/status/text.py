"""The status for a person: what is so, since when, why, and what can be done about it."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from edge_agent.cli.status.certificate import DOUBTS
from edge_agent.cli.table import printable
from edge_agent.daemon.link import OF_TIME

_Facts = Mapping[str, Any]

GOOD, ODD, BAD = "good", "odd", "bad"
#: Green, yellow, red; and back.
#:
#: Source: ECMA-48, 8.3.117 (SGR).
_COLOURS = {GOOD: "\x1b[32m", ODD: "\x1b[33m", BAD: "\x1b[31m"}
_PLAIN = "\x1b[0m"
_LABEL_WIDTH = 9
#: Of a text beside its label, however narrow the terminal is.
_NARROWEST = 20
#: An agent speaks of itself every five seconds; one that has not for so long is stuck.
_SILENT_S = 60
#: A card that would last longer than this dies of something else first.
_MOST_YEARS = 100
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
#: What a card's own words mean for the person who owns it.
_SPARE = {
    "enough": ", and it has spare blocks",
    "low": ", and its spare blocks run low",
    "used_up": ", and its spare blocks are nearly used up",
    "unknown": "",
}
_SCARCE = ("low", "used_up")
_WORN_PERCENT = 90
#: What to do about a certificate's date where nobody has set the clock.
_SET_IT = "set this machine's clock first; `timedatectl` tells who is to do it"
_THEN = {
    "tls_not_yet_valid": "",
    "tls_expired": "; if the certificate has expired all the same, renew it at the server",
}
#: Whether the clock was right since the start of this machine.
_SET = {True: "it has been set", False: "nobody has set it since this machine started"}
_UNITS = (("y", 31_536_000), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))

_STATES = {
    "up": (GOOD, "the server takes what it is sent"),
    "down": (ODD, "nothing gets through"),
    "held": (ODD, "the server wants to be left alone for a while"),
    "suspended": (BAD, "sending is suspended, as endpoint or key is wrong; nothing is deleted"),
    "untried": ("", "nothing was sent since the start"),
    "store_only": ("", "no upload.endpoint: readings are kept, and nothing is sent"),
}
#: What a status means to a person, where it is more than a number (RFC 9110, 15; RFC 6585, 4).
_ANSWERS = {
    "401": "the server does not accept the API key",
    "403": "the server knows the API key, and does not let it do this",
    "404": "the server has no such endpoint",
    "405": "the endpoint takes no POST",
    "407": "the proxy wants a password",
    "410": "the server has this endpoint no more",
    "429": "the server has too many requests",
    "500": "the server has an error of its own",
    "502": "the server's own back end does not answer",
    "503": "the server is not ready",
    "504": "the server's own back end does not answer in time",
}
_ENDS = {
    "stopped": "was stopped in order",
    "killed": "was killed, or crashed",
    "power_cut": "ended with the power, or a reboot without a stop",
    "watchdog": "was ended by the watchdog",
}


#: What a person can do about a fault; the journal has the whole sentence.
FAULTS = {
    "nack": "no answer: check its address, power and wiring",
    "absent": "it is not there: check its wiring",
    "absent_bus": "there is no such bus: switch it on with raspi-config",
    "permission": "the bus may not be opened: add the service's user to its group",
    "io": "the transfer failed: check for loose or long wires",
    "timeout": "a chip holds the bus: switch its power off and on",
    "hang": "the driver has not come back from a read",
    "crc": "the answer's checksum is wrong: check for loose or long wires",
    "range": "the value is outside of what `valid` declares",
    "garbage": "what it gives is no value",
    "driver": "its driver cannot be built",
}


class Line(NamedTuple):
    """What it is about; empty: the same as the line before."""

    label: str
    text: str
    level: str = ""


def render(facts: _Facts, *, colours: bool, columns: int | None = None) -> list[str]:
    """The lines as they are printed.

    Args:
        facts: as `status.gather` makes them.
        colours: whether to paint the labels.
        columns: none is to be wider; None: as wide as they are.
    """
    lines = (part for line in _lines(facts) for part in _folded(line, columns))
    return [_label(line, colours=colours) + printable(line.text) for line in lines]


def _folded(line: Line, columns: int | None) -> list[Line]:
    """A line that is too wide goes on below itself."""
    if columns is None:
        return [line]
    width = max(columns - _LABEL_WIDTH, _NARROWEST)
    first, *rest = textwrap.wrap(line.text, width, break_on_hyphens=False)
    return [line._replace(text=first), *(Line("", text) for text in rest)]


def local(unix: float) -> str:
    """A time as the machine's zone has it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))


def span(seconds: float) -> str:
    """A duration in its two largest units: ``3 d 2 h``, ``41 s``."""
    words: list[tuple[int, str]] = []
    left = max(0, round(seconds))
    for unit, length in _UNITS:
        if left >= length or words:
            words.append((left // length, unit))
        left %= length
    return " ".join(f"{count} {unit}" for count, unit in words[:2] if count) or "0 s"


def size(count: float) -> str:
    """Bytes in the largest unit that fits: ``41.2 kB``."""
    fitting = ((unit, factor) for unit, factor in _SIZES if count >= factor)
    unit, factor = next(fitting, ("B", 1))
    return f"{count / factor:.1f} {unit}" if factor > 1 else f"{count:.0f} B"


def painted(text: str, level: str) -> str:
    """A text in the colour of a level: `GOOD`, `ODD` or `BAD`."""
    return f"{_COLOURS[level]}{text}{_PLAIN}"


def _label(line: Line, *, colours: bool) -> str:
    label = line.label.ljust(_LABEL_WIDTH)
    return painted(label, line.level) if colours and line.level else label


def _lines(facts: _Facts) -> Iterator[Line]:
    agent = facts["agent"]
    yield from _agent(facts)
    yield from _queue(facts)
    if agent:
        yield from _link(facts)
        yield from _upload(agent)
        yield from _card(agent)
    yield from _wear(facts)
    yield _books(facts["ledger"])
    if agent:
        yield from _odd_times(agent["health"])
        for name, sensor in agent["sensors"].items():
            yield from _sensor(name, sensor, facts["at"])


def _agent(facts: _Facts) -> Iterator[Line]:
    if facts["running"]:
        agent = facts["agent"]
        since = f"running for {span(agent['uptime_s'])}, version {agent['agent_version']}"
        yield Line("agent", since, GOOD)
        silent_s = facts["at"] - agent["at"]
        if silent_s > _SILENT_S:
            told = f"what it says of itself is {span(silent_s)} old"
            yield Line("", f"{told}; `journalctl -u pyvorin-agent` may say why", ODD)
    else:
        yield Line("agent", "not running", BAD)
    if (last := facts["last_run"]) is not None:
        why = f" ({last['reason']})" if last["reason"] else ""
        ended = f"the last run {_ENDS.get(last['ended'], last['ended'])}{why}"
        yield Line("", f"{ended} after {span(last['uptime_s'])} or a little more")


def _queue(facts: _Facts) -> Iterator[Line]:
    queue = facts["queue"]
    kinds = ", ".join(f"{depth} {word}" for word, depth in queue["by_priority"].items() if depth)
    place = f"{queue['size_bytes'] / 1e6:.1f} MB in {queue['path']}"
    yield Line("queue", f"{queue['depth']} waiting{f' ({kinds})' if kinds else ''}; {place}")
    if queue["oldest_s"] is not None:
        since = _since(facts["at"] - queue["oldest_s"], queue["oldest_s"])
        yield Line("", f"the oldest waits {since}")
    per_s = facts["agent"].get("growth_per_s")
    if per_s and per_s > 0:
        yield Line("", f"{round(per_s * 3600)} an hour more come than leave")
    elif (left_s := facts["agent"].get("drain_s")) is not None and queue["depth"]:
        yield Line("", f"at the present rate it is empty in {span(left_s)}")
    if not facts["agent"] and (at := queue["delivered_at"]) is not None:
        yield Line("", f"the server last took something {_ago(at, facts['at'] - at)}")


def _link(facts: _Facts) -> Iterator[Line]:
    agent = facts["agent"]
    health, at, advice = agent["health"], agent["at"], agent["link"]["do"]
    level, words = _STATES[health["link"]]
    lasted = health["link_s"]
    since = f" {_since(at - lasted, lasted)}" if lasted is not None else ""
    yield Line("link", f"{health['link']}{since}: {words}", level)
    if health["link_reason"]:
        yield Line("", f"the last error: {in_words(health['link_reason'])}")
    word, right = (health["link_reason"] or "").partition(":")[0], health["clock"] == "synced"
    if word in DOUBTS:
        yield Line("", _shown(facts["certificate"]))
        yield Line("", f"this machine's clock says {local(facts['at'])}, and {_SET[right]}")
    if word in OF_TIME and not right:
        advice = _SET_IT + _THEN[word]
    if (wait_s := health["next_try_s"]) is not None:
        yield Line("", f"the next try in {span(wait_s)}, at {local(at + wait_s)}")
    if advice:
        yield Line("", f"what to do: {advice}")
    if (ago_s := health["last_delivery_s"]) is not None:
        yield Line("", f"the server last took something {_ago(at - ago_s, ago_s)}")


def _shown(certificate: _Facts | None) -> str:
    """What the server shows, for a person to compare."""
    if certificate is None:
        return "its certificate cannot be looked at from here"
    whose = f"by {certificate['issuer']} for {', '.join(certificate['hosts'])}"
    dates = f"from {local(certificate['from'])} to {local(certificate['to'])}"
    return f"its certificate is {whose}, {dates}"


def in_words(reason: str) -> str:
    """An answer's number is said in words, in front of what the server itself said."""
    found = re.match(r"HTTP (\d{3})\b", reason)
    words = _ANSWERS.get(found[1]) if found else None
    return f"{words} ({reason})" if words else reason


def _upload(agent: _Facts) -> Iterator[Line]:
    health, request = agent["health"], agent["request"]
    most = f"{request['max_bytes'] / 1024:.0f} KiB"
    items = f"{request['items']} item{'s' * (request['items'] != 1)}"
    yield Line("upload", f"at most {items} and {most} a request")
    today = size(agent["quota"]["daily"]["sent_bytes"])
    month = size(health["sent_bytes_month"])
    yield Line(
        "", f"{health['sent_today']} delivered today; sent {today} today, {month} this month"
    )
    for period, spent in agent["quota"].items():
        if spent["messages"] is not None:
            used = f"{spent['sent_messages']} of {spent['messages']} messages"
            yield Line("quota", f"{period}: {used}")
        if spent["bytes"] is not None:
            used = f"{size(spent['sent_bytes'])} of {size(spent['bytes'])}"
            yield Line("quota", f"{period}: {used}")
    if request["quota_reached"]:
        reached = f"that of {request['quota_reached']} is reached: telemetry and logs wait"
        yield Line("quota", f"{reached} for the next period; raise upload.quota to send them", ODD)


def _card(agent: _Facts) -> Iterator[Line]:
    """The disk, and for how long it has room."""
    health = agent["health"]
    free, hours = health["free_bytes"], health["hours_left"]
    said = f"{size(free)} free" if free is not None else "nobody can say what is free"
    if hours == 0:
        full = "less than an hour fits, then queue.when_full says what goes"
        yield Line("disk", f"{said}; {full}", BAD)
        yield Line("", "what to do: make room on the disk, or raise queue.max_size")
    elif hours is not None:
        yield Line("disk", f"{said}; room for {span(hours * 3600)} at the present rate")
    else:
        known = agent["growth_per_s"] is not None
        grows = "the queue does not grow" if known else "for how long is not known yet"
        yield Line("disk", f"{said}; {grows}")


def _wear(facts: _Facts) -> Iterator[Line]:
    """What is written to the card, and what that does to it."""
    wear, said = facts["wear"], []
    if facts["agent"] and (today := facts["agent"]["health"]["wear_bytes_today"]) is not None:
        said.append(f"{size(today)} written to the card today")
    if wear["bytes_a_day"] is not None:
        over = span(wear["over_s"])
        said.append(f"{size(wear['bytes_a_day'])} a day, on average over {over} of running")
    if wear["endurance"] is not None:
        said.append(_endurance(wear["endurance"]))
    if (card := wear["card"]) is not None:
        spare = _SPARE[card["spare"]]
        said.append(f"{card['name']} says that {card['used_percent']} % of its life is used{spare}")
    worn = card is not None and (card["used_percent"] >= _WORN_PERCENT or card["spare"] in _SCARCE)
    for number, text in enumerate(said):
        yield Line("" if number else "wear", text, BAD if worn and not number else "")
    if worn:
        yield Line("", "what to do: keep a copy of what is on it, and another card at hand")


def _endurance(endured: _Facts) -> str:
    """How long a card of a stated endurance would last."""
    of = f"of {size(endured['bytes'])}"
    if endured["share_a_year"] is None:
        return f"what that is {of} is known after an hour of running"
    share = f"{endured['share_a_year'] * 100:.2g} % {of} a year"
    years = endured["years"]
    lasts = f"{years:.1f} y" if years and years < _MOST_YEARS else f"more than {_MOST_YEARS} y"
    return f"that is {share}; with nothing else written, the card lasts {lasts}"


def _books(ledger: _Facts) -> Line:
    """What is not zero, in words."""
    counts = {name: n for name, n in ledger.items() if name != "corrupt_unknown"}
    if ledger["corrupt_unknown"]:
        counts["corrupt"] = f"{ledger['corrupt']} or more"
    kept = ", ".join(f"{name} {n}" for name, n in counts.items() if n or name == "enqueued")
    return Line("ledger", kept)


def _odd_times(health: _Facts) -> Iterator[Line]:
    """The clock; and a configuration that is not the file's."""
    if health["clock"] == "synced":
        yield Line("clock", "right")
    else:
        text = "not set since this machine started; readings are corrected when it is"
        yield Line("clock", text, ODD)
    if health["config"] == "last_good":
        text = "the file has a mistake, so the agent runs on the last one that had none"
        yield Line("config", text, BAD)
        yield Line("", "what to do: `pyvorin-agent check` names it; then reload the service")


def _sensor(name: str, sensor: _Facts, at: float) -> Iterator[Line]:
    """A line for each channel that was ever read, and for each fault."""
    for faulty, why in sensor["faults"].items():
        began = sensor["faulty_since"].get(faulty)
        since = "since before this start" if began is None else _since(began, at - began)
        words = f" ({FAULTS[why]})" if why in FAULTS else ""
        yield Line("sensor", f"{faulty}: {why}{words}, {since}", BAD)
    for channel, last in sensor["last"].items():
        age = f"({span(at - last['timestamp'])} ago)"
        value = f"{last['value']} {last['unit']} at {local(last['timestamp'])} {age}"
        yield Line("sensor", f"{channel}: {value}", "" if sensor["faults"] else GOOD)
    if not sensor["faults"] and not sensor["last"]:
        yield Line("sensor", f"{name}: not read yet")
    if sensor["history"]["total"]:
        yield Line("", _past(name, sensor["history"]))


def _past(sensor: str, history: _Facts) -> str:
    """How often it was faulty, and the last of those faults that are over."""
    total = history["total"]
    counted = f"{total} fault{'s' * (total != 1)} since {local(history['since'])}"
    over = [fault for fault in history["last"] if fault["to"] is not None]
    if not over:
        return counted
    which = "the last" if len(over) == len(history["last"]) else "the one before"
    last = max(over, key=lambda fault: float(fault["to"]))
    whose = "" if last["name"] == sensor else f"{last['name']}: "
    lasted = span(last["to"] - last["from"])
    when = f"from {local(last['from'])} to {local(last['to'])} ({lasted})"
    return f"{counted}, {which} {when}: {whose}{last['reason']}"


def _ago(unix: float, ago_s: float) -> str:
    return f"{span(ago_s)} ago, at {local(unix)}"


def _since(unix: float, lasted_s: float) -> str:
    return f"since {local(unix)} ({span(lasted_s)})"
