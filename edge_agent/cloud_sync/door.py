"""The queue's door: a payload becomes JSON text here, or is refused with the path of what is wrong.

``json.dumps`` alone lets ``NaN`` through, which is no JSON: such an item would be refused by every
server, for ever.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

from edge_agent.errors import PayloadError

#: The largest payload that is stored, as UTF-8 JSON text.
MOST_PAYLOAD_BYTES = 256 * 1024

#: What JSON has no word for but everybody reads as a text.
_AS_TEXT = (
    dt.date,
    dt.time,
    dt.timedelta,
    uuid.UUID,
    decimal.Decimal,
    pathlib.PurePath,
)


def encode(payload: Mapping[str, Any]) -> str:
    """The payload as compact JSON text.

    Dates, UUIDs, ``Decimal`` and paths become texts, as in ``json.dumps(payload, default=str)``.

    Raises:
        PayloadError: not a mapping, not JSON-representable, a number that is not finite, or more
            than `MOST_PAYLOAD_BYTES`; the message names the path of the value.
    """
    if not isinstance(payload, Mapping):
        raise PayloadError(f"a payload is a dictionary, not {type(payload).__name__}")
    try:
        text = _ENCODER.encode(dict(payload))
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError) as exc:
        raise PayloadError(_complaint(payload, exc)) from exc
    if size > MOST_PAYLOAD_BYTES:
        raise PayloadError(
            f"the payload is {size} bytes of JSON, more than {MOST_PAYLOAD_BYTES}; split it"
        )
    return text


def _as_text(value: object) -> str:
    if isinstance(value, _AS_TEXT):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


#: Made once: `json.dumps` makes one for every call.
_ENCODER = json.JSONEncoder(
    default=_as_text, allow_nan=False, ensure_ascii=False, separators=(",", ":")
)


def _complaint(payload: Mapping[str, Any], exc: Exception) -> str:
    """The sentence for a refused payload, with the path of the first value that is to blame."""
    try:
        found = _culprit(dict(payload), "payload")
    except RecursionError:
        return "the payload is nested too deeply, or contains itself; nothing was stored"
    return f"{found}; nothing was stored" if found else f"the payload is not JSON: {exc}"


def _culprit(value: object, path: str) -> str | None:
    """The path of the first value that JSON cannot hold and why, in document order."""
    if isinstance(value, dict):
        wrong = next(filter(None, (_fault({key: None}, f"a key of {path}") for key in value)), None)
        if wrong:
            return wrong
        parts = [(f"{path}.{key}", part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{path}[{index}]", part) for index, part in enumerate(value)]
    else:
        return _fault(value, path)
    return next((found for where, part in parts if (found := _culprit(part, where))), None)


def _fault(value: object, path: str) -> str | None:
    """What is wrong with one value, or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path} is {value}, and JSON has only finite numbers"
    try:
        json.dumps(value, default=_as_text, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return f"{path} is a text with half a surrogate pair, which is no Unicode"
    except (ValueError, TypeError) as exc:
        return f"{path} is not JSON: {exc}"
    return None
