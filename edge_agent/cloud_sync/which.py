"""Which rows a person wants gone: by age, by sensor, by a field of the payload, or all."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from edge_agent.cloud_sync.gaps import Gap


class Candidate(NamedTuple):
    """A row or dead letter that is looked at."""

    id: int
    #: JSON text, as stored
    payload: str
    #: queue time, Unix seconds, corrected
    created_at: float
    #: whether it has outlived its TTL
    expired: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Which:
    """Says of each row whether it goes. Made by one of the functions below."""

    takes: Callable[[Candidate], bool]
    #: whether it is about what rows say, so that no copy of one may stay in any file
    erases: bool
    #: whether a gap that is still to be told goes, too
    takes_gap: Callable[[Gap], bool] = lambda _: False
    #: whether a state or a line of the history goes, too
    takes_note: Callable[[str], bool] = lambda _: False
    #: whether dead letters are looked at
    dead_letters: bool = True
    #: what the ledger calls it
    fate: str = "discarded"


def expired() -> Which:
    """What has outlived its TTL; not the dead letters, whose TTL begins anew with a replay."""
    return Which(lambda row: row.expired, erases=False, dead_letters=False, fate="expired")


def before(time: float) -> Which:
    """What was queued before a time, Unix seconds.

    By ``created_at``: every row has it, a program's own payloads too, and it is right where the
    clock was not when the reading was taken. A reading is queued within seconds.
    """
    return Which(
        lambda row: row.created_at < time, erases=False, takes_gap=lambda gap: gap.to_time < time
    )


def everything() -> Which:
    """All rows, all dead letters and all gaps."""
    return Which(lambda _: True, erases=True, takes_gap=lambda _: True)


def of_sensor(name: str) -> Which:
    """The readings of a sensor and of its channels, and what the agent itself says of it.

    Args:
        name: as configured; ``fridge`` is ``fridge.temperature`` as well.

    Raises:
        ValueError: the name is empty.
    """
    if not name:
        raise ValueError("the sensor's name is empty; name one")
    # As JSON and the journal escape it, too. As a whole word: ``door`` is not in ``backdoor``.
    forms = {name, name.encode("ascii", "backslashreplace").decode(), json.dumps(name)[1:-1]}
    word = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(forms)))})(?![\w-])")

    def names_it(text: str) -> bool:
        return word.search(text) is not None

    def is_it(sensor: str) -> bool:
        return sensor == name or sensor.startswith(f"{name}.")

    def takes(row: Candidate) -> bool:
        payload = _decoded(row.payload)
        sensor = payload.get("sensor_name") if isinstance(payload, dict) else None
        # The agent's own readings, and what is no JSON, go if they name it anywhere.
        if sensor is None or str(sensor).startswith("agent."):
            return names_it(row.payload)
        return is_it(str(sensor))

    return Which(takes, erases=True, takes_gap=lambda gap: is_it(gap.sensor), takes_note=names_it)


def matching(path: str, value: str) -> Which:
    """What has a value at a place in its payload: ``metadata.badge_id`` = ``17``.

    Args:
        path: keys from the outermost in, with dots between; or the number of an item in a list.
        value: as typed: ``17`` is the number and the text, ``true`` the truth value and the word.

    Raises:
        ValueError: a part of the path is empty.
    """
    parts = path.split(".")
    if not all(parts):
        raise ValueError(f"path {path!r} has an empty part; write metadata.badge_id")
    wanted = _decoded(value)

    def takes(row: Candidate) -> bool:
        found = _decoded(row.payload)
        for part in parts:
            if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                return False
        # For Python, true is 1.
        same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
        return same or found == value

    return Which(takes, erases=True)


def _decoded(text: str) -> Any:
    """What a JSON text says; the text itself where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
