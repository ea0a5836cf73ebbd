"""Privacy: which fields of a reading never reach the disk as they were read.

The last thing that is done to a reading, after labels and the clock's mark: fields are dropped,
then hashed, then rounded. Pure, given the key.

A field is called by its path: ``unit``, ``metadata.zone``, and ``metadata.a.b`` for what is in a
mapping. A path that leads nowhere changes nothing. The value is measured to be known: what it goes
through, alarms and deadbands for instance, remembers it as it is, so it is not for privacy to hide
(the filter ``round`` makes it coarse from the start).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.types import SensorReading

#: What a change makes of a field that is to go.
_GONE = object()

_Change = Callable[[Any], Any]


class Shield:
    """Drops, hashes and rounds fields of readings; the same key gives the same hash for ever."""

    def __init__(
        self,
        *,
        drop: Sequence[str] = (),
        hashed: Sequence[str] = (),
        rounded: Mapping[str, int] | None = None,
        key: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        """Keep what is to be done.

        Args:
            drop: paths of what is taken out.
            hashed: paths of what is replaced by its keyed hash.
            rounded: paths of numbers, with the decimal places they keep.
            key: gives the hash's key; asked only where there is something to hash. While it gives
                None, what is to be hashed is dropped.
        """
        self._key = key
        self._drops_unit = "unit" in drop
        every: list[tuple[str, _Change]] = [
            *((path, _dropped) for path in drop if path != "unit"),
            *((path, self._hashed) for path in hashed),
            *(
                (path, functools.partial(_rounded, digits=digits))
                for path, digits in (rounded or {}).items()
            ),
        ]
        self._changes = [(path.removeprefix("metadata."), change) for path, change in every]

    def apply(self, reading: SensorReading) -> SensorReading:
        """The reading as it may be stored."""
        if not self._changes and not self._drops_unit:
            return reading
        metadata = reading.metadata
        for path, change in self._changes:
            metadata = _changed(metadata, path, change)
        unit = "" if self._drops_unit else reading.unit
        return dataclasses.replace(reading, unit=unit, metadata=metadata)

    def _hashed(self, value: Any) -> Any:
        """HMAC-SHA-256 of a text in UTF-8, of anything else in JSON: sorted, without spaces.

        Source: RFC 2104 (HMAC); FIPS 180-4 (SHA-256).
        """
        key = self._key()
        if key is None:
            return _GONE
        try:
            text = value if isinstance(value, str) else _canonical(value)
        except (TypeError, ValueError):
            # What JSON cannot hold has no text to hash, and must not pass as it is.
            return _GONE
        return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _dropped(_value: Any) -> Any:
    return _GONE


def _rounded(value: Any, *, digits: int) -> Any:
    """A number with that many decimal places; all else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return round(value, digits)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _changed(mapping: Mapping[str, Any], path: str, change: _Change) -> dict[str, Any]:
    """A copy in which what ``path`` leads to is changed, or gone.

    A key may have dots in it (a label called ``a.b``): every way that reads as the path is gone.
    """
    copy: dict[str, Any] = {}
    for key, value in mapping.items():
        kept = value
        if key == path:
            kept = change(value)
        elif isinstance(value, Mapping) and path.startswith(f"{key}."):
            kept = _changed(value, path[len(key) + 1 :], change)
        if kept is not _GONE:
            copy[key] = kept
    return copy
