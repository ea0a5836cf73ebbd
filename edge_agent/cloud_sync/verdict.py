"""HTTP outcome -> fate of the items: the table, and nothing else.

Pure: no clock, no socket, no state. What the flusher does with an action (how long it waits, what
it splits) is the flusher's; what an answer *means* is decided here alone.
"""

from __future__ import annotations

import codecs
import dataclasses
import datetime as dt
import email.utils
import enum
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

#: The longest a server may hold us off with Retry-After.
LONGEST_RETRY_AFTER_S = 3600.0
#: A Date header this close to our clock shows that it is right.
CLOCKS_AGREE_S = 60.0
#: The most of an answer that is read, in decoded bytes.
MOST_ANSWER_BYTES = 64 * 1024
#: The most of a server's words that a journal line or a dead letter repeats.
LONGEST_REASON = 200


class Action(enum.Enum):
    """What is to happen to the batch."""

    #: taken: the rows are deleted
    DELIVERED = "delivered"
    #: an item in it is refused: find it by halving
    REFUSED = "refused"
    #: too large as a whole: halve it
    TOO_LARGE = "too_large"
    #: the answer cannot be what the server meant: halve it and send again
    DISBELIEVED = "disbelieved"
    #: the server is at it: the same bytes, later
    IN_PROGRESS = "in_progress"
    #: the server is busy: hold the endpoint
    HELD = "held"
    #: a server error: the same, and the batch may be at fault
    BROKEN = "broken"
    #: endpoint or key is wrong, not the data: stop sending, probe now and then
    SUSPENDED = "suspended"
    #: nobody answered, or somebody in between did: hold the link
    LINK_DOWN = "link_down"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    #: header fields, names in lower case
    headers: Mapping[str, str]
    #: decoded bytes, `MOST_ANSWER_BYTES` at the most
    body: bytes = b""
    #: whether the answer was longer than that
    cut: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing came back."""

    #: one word: ``dns``, ``refused``, ``timeout``, ``tls``, ``reset``, ``no_key`` …
    kind: str
    #: for people
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a batch, and of items the server named."""

    action: Action
    #: one word and what was said, for the journal
    reason: str
    #: seconds for which the server wants to be left alone; None where it did not say
    retry_after_s: float | None = None
    #: items refused one by one: id -> the server's reason
    rejected: Mapping[int, str] = dataclasses.field(default_factory=dict)
    #: items to be sent again later, on their own
    retry: frozenset[int] = frozenset()
    #: entries of the answer that name nothing that was sent
    strange: int = 0


#: The statuses that speak for themselves; whatever is not here is told apart by its hundred.
_BY_STATUS = {
    400: Action.REFUSED,
    422: Action.REFUSED,
    413: Action.TOO_LARGE,
    409: Action.IN_PROGRESS,
    408: Action.HELD,
    425: Action.HELD,
    429: Action.HELD,
    501: Action.SUSPENDED,
}
_HOLDS = (Action.HELD, Action.BROKEN)
_BY_HUNDRED = {3: Action.SUSPENDED, 4: Action.SUSPENDED, 5: Action.BROKEN}


def judge(
    outcome: Answer | Failure, *, ids: frozenset[int], host: str, wall: float = 0.0
) -> Verdict:
    """What an outcome means for the batch that drew it.

    Args:
        outcome: the answer, or why there is none.
        ids: the ids that were sent; others in an answer are ignored.
        host: the endpoint's host, to tell a captive portal's redirect from the endpoint's own.
        wall: Unix seconds, for a Retry-After that names a date.
    """
    if isinstance(outcome, Failure):
        return Verdict(Action.LINK_DOWN, shown(f"{outcome.kind}: {outcome.detail}"))
    hundred = outcome.status // 100
    if hundred == 2:  # noqa: PLR2004  # RFC 9110, 15.3: successful
        return _accepted(outcome, ids)
    if hundred == 3 and _leads_away(outcome, host):  # noqa: PLR2004  # RFC 9110, 15.4: redirection
        return Verdict(Action.LINK_DOWN, f"captive_portal: HTTP {outcome.status} to another host")
    action = _BY_STATUS.get(outcome.status, _BY_HUNDRED.get(hundred, Action.HELD))
    wait_s = _retry_after(outcome.headers.get("retry-after", ""), wall)
    return Verdict(action, _said(outcome), wait_s if action in _HOLDS else None)


def _accepted(answer: Answer, ids: frozenset[int]) -> Verdict:
    """A 2xx: delivered, unless the body shows that it is not the server's or says otherwise."""
    # Windows servers, and with them many portals, begin with a byte order mark.
    text = answer.body.removeprefix(codecs.BOM_UTF8).strip()
    if text[:14].lower().startswith((b"<!doctype", b"<html")):
        return Verdict(Action.LINK_DOWN, "captive_portal: a web page answered, not the endpoint")
    if answer.cut:
        return Verdict(Action.DISBELIEVED, "the answer is longer than 64 KiB")
    if not text.startswith(b"{"):
        return Verdict(Action.DELIVERED, f"HTTP {answer.status}")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return Verdict(Action.DISBELIEVED, "the answer begins like JSON and is none")
    return _item_by_item(said, ids, f"HTTP {answer.status}")


def _item_by_item(said: Mapping[str, Any], ids: frozenset[int], reason: str) -> Verdict:
    """What a 2xx says of items: rejected, to be retried; whatever else it says is ignored."""
    refused = [(_id_of(entry, ids), _reason_of(entry)) for entry in _listed(said.get("rejected"))]
    again = [_id_of(entry, ids) for entry in _listed(said.get("retry"))]
    rejected = {number: why for number, why in refused if number is not None}
    return Verdict(
        Action.DELIVERED,
        reason,
        rejected=rejected,
        retry=frozenset(n for n in again if n is not None and n not in rejected),
        strange=[*again, *(number for number, _ in refused)].count(None),
    )


def _reason_of(entry: object) -> str:
    said = entry.get("reason", "rejected") if isinstance(entry, dict) else "rejected"
    return shown(str(said))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _id_of(entry: object, ids: frozenset[int]) -> int | None:
    """The id that an entry names, bare or in an object; None where it is none of ``ids``.

    Both forms are taken in both lists, and 41.0 for 41: to overlook a refusal deletes a reading.
    """
    number = entry.get("id") if isinstance(entry, dict) else entry
    if isinstance(number, int | float) and not isinstance(number, bool) and number in ids:
        return int(number)
    return None


def _leads_away(answer: Answer, host: str) -> bool:
    """Whether a redirect names another host than the endpoint's."""
    try:
        target = urllib.parse.urlsplit(answer.headers.get("location", "")).hostname
    except ValueError:
        return True
    return target is not None and target != host


def shown(text: str) -> str:
    """A server's words as one line, cut, of what a terminal shows and a file can hold."""
    words = " ".join(text.split())[:LONGEST_REASON]
    return "".join(c if c.isprintable() else "?" for c in words)


def dates_agree(answer: Answer, wall: float) -> bool:
    """Whether the server's clock and ours tell the same time, to a minute."""
    date = _unix(answer.headers.get("date", ""))
    return date is not None and abs(date - wall) <= CLOCKS_AGREE_S


def _retry_after(text: str, wall: float) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110, 10.2.3), capped."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        # A number of so many digits only ever means the cap.
        return min(float(text[:10]), LONGEST_RETRY_AFTER_S)
    date = _unix(text)
    return None if date is None else min(max(date - wall, 0.0), LONGEST_RETRY_AFTER_S)


def _unix(text: str) -> float | None:
    """An HTTP date as Unix seconds (RFC 9110, 5.6.7); None where the text is none."""
    try:
        date = email.utils.parsedate_to_datetime(text)
        # The old form of asctime names no zone and means UTC.
        return date.replace(tzinfo=date.tzinfo or dt.UTC).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _said(answer: Answer) -> str:
    """Status and the beginning of what the server said, for a person."""
    return shown(f"HTTP {answer.status} {answer.body.decode('utf-8', 'replace')}")
