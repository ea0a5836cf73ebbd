"""What a request says: its body read and checked, or refused in one sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from edge_agent.errors import EdgeAgentError

_LONGEST_NAME = 200
_LARGEST_ID = 2**63 - 1


class Refusal(EdgeAgentError, ValueError):
    """A request that is not taken, in one sentence for the one who sent it.

    Attributes:
        status: the answer's status.
        headers: what the answer says besides.
    """

    def __init__(
        self,
        message: str,
        *,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class Item(NamedTuple):
    """One reading of a request."""

    #: unique in its queue; the position in the batch where there is no ``queue_id``
    id: int
    #: what a verdict calls it: the id that was sent, or the position where none was
    name: int
    #: the payload as JSON text
    data: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One request's items, checked."""

    #: who sent them, up to 200 printable characters; empty when the sender did not say
    device_id: str
    #: the queue they were born in; empty when a program sent payloads without ids
    queue_id: str
    #: the Idempotency-Key; empty when there was none
    key: str
    #: SHA-256 of the decoded body: what the key stands for
    digest: bytes
    #: in the order sent
    items: tuple[Item, ...]
    #: items that cannot be kept, by name, each with the reason
    rejected: Mapping[int, str]

    @property
    def request_key(self) -> str:
        """What tells requests without a ``queue_id`` apart; empty when there is one."""
        return "" if self.queue_id else self.key


def read_batch(body: bytes, idempotency_key: str = "") -> Batch:
    """The batch that a request's decoded body holds.

    An item whose id can be read and whose data cannot be kept is ``rejected`` alone; whatever
    cannot be answered item by item refuses the request.

    Args:
        body: JSON text, ``{"version": 1, "device_id": …, "queue_id": …, "batch": […]}``, each
            item ``{"id": …, "data": {…}}``.
        idempotency_key: the header of that name, as it came; items without a ``queue_id`` need it.

    Raises:
        Refusal: (400) a sentence that says which part is wrong and what would be right.
    """
    document = _read_json(body)
    if not isinstance(document, dict) or document.get("version") != 1:
        raise Refusal('the body is no object with "version": 1, the only version known here')
    batch = document.get("batch")
    if not isinstance(batch, list):
        raise Refusal('batch is no list; send a list of {"id": …, "data": {…}}, empty for a test')
    queue_id = _read_name(document, "queue_id") if "queue_id" in document else ""
    if len(idempotency_key) > _LONGEST_NAME:
        raise Refusal(f"Idempotency-Key has more than {_LONGEST_NAME} characters")
    if not queue_id and not idempotency_key and batch:
        raise Refusal("neither queue_id nor Idempotency-Key is there; repeats could not be told")
    items, rejected = _read_items(batch, numbered=bool(queue_id))
    return Batch(
        device_id=_read_name(document, "device_id") if "device_id" in document else "",
        queue_id=queue_id,
        key=idempotency_key,
        digest=hashlib.sha256(body).digest(),
        items=items,
        rejected=rejected,
    )


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise Refusal("the body is nested too deeply to be a batch") from None
    except ValueError as error:
        raise Refusal(f"the body is no JSON: {error}") from None


def _read_name(document: Mapping[str, Any], key: str) -> str:
    name = document.get(key)
    # Unprintable covers lone surrogates, which SQLite cannot store.
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Refusal(f"{key} is no text of 1 to {_LONGEST_NAME} printable characters")
    return name


def _read_items(batch: list[Any], *, numbered: bool) -> tuple[tuple[Item, ...], dict[int, str]]:
    """The items that can be kept, and why the others cannot."""
    items: list[Item] = []
    rejected: dict[int, str] = {}
    for position, written in enumerate(batch):
        name = _read_id(written, position, numbered=numbered)
        try:
            items.append(Item(name if numbered else position, name, _read_data(written)))
        except ValueError as error:
            rejected[name] = str(error)
    return tuple(items), rejected


def _read_id(item: object, position: int, *, numbered: bool) -> int:
    where = f"batch[{position}]"
    if not isinstance(item, dict):
        raise Refusal(f'{where} is no object; an item is {{"id": …, "data": {{…}}}}')
    number = item.get("id", None if numbered else position)
    if type(number) is not int or not 0 <= number <= _LARGEST_ID:
        raise Refusal(f"{where}.id is no whole number from 0 to {_LARGEST_ID}")
    return number


def _read_data(item: Mapping[str, Any]) -> str:
    """The payload as JSON text; ValueError with the reason where it is none."""
    data = item.get("data")
    if not isinstance(data, dict):
        raise ValueError("data is no object")
    try:
        return json.dumps(data, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise ValueError("data holds NaN or an infinity, which are no JSON") from None
