"""What a script can do to a request: every action declared once, with its settings.

Each is a pure function from a request to a `Reaction`. Its class's docstring and its options are
the reference page (`script_help`) and the checker (`script`).
"""

from __future__ import annotations

import dataclasses
import email.utils
import json
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from edge_agent.kinds import Kind
from edge_agent.options import Choice, Duration, Flag, Labels, Size, Text, Whole, option
from edge_agent.receiver.reaction import Answer, Asked, Reaction, text_answer

_HOUR_S = 3600.0
_PIECE_BYTES = 64 * 2**10
_GIGABYTE = 10**9
_PAGE = b"<!DOCTYPE html><html><body>Welcome! Please log in to use this network.</body></html>\n"
#: RFC 9110, 15: the statuses that end an exchange.
_STATUS = Whole(least=200, most=599)
_REDIRECTS = Whole(least=300, most=399)


class Action(Protocol):
    """One thing to do; a frozen dataclass whose fields are its options."""

    def react(self, asked: Asked, /) -> Reaction:
        """What is done to a request."""


@dataclasses.dataclass(frozen=True)
class Normal:
    """Does what the contract says; what follows the last step, too."""

    def react(self, _asked: Asked, /) -> Reaction:
        """Nothing of its own."""
        return Reaction()


@dataclasses.dataclass(frozen=True)
class Status:
    """Answers with a status of your choice."""

    status: int = option(_STATUS, help="The status.")
    body: str = option(Text(), "", help="The answer's body.")
    headers: dict[str, Any] = option(Labels(), fresh=dict, help="More header fields.")
    retry_after_s: float | None = option(
        Duration(most=7 * 24 * _HOUR_S), None, help="What Retry-After says, in whole seconds."
    )
    as_date: bool = option(Flag(), default=False, help="Write Retry-After as a date.")
    store: bool = option(Flag(), default=False, help="Store the items all the same.")

    def react(self, asked: Asked, /) -> Reaction:
        """The status, its fields and its body."""
        headers = {name: str(value) for name, value in self.headers.items()}
        if self.retry_after_s is not None:
            # RFC 9110, 10.2.3: a date or a number of seconds.
            date = email.utils.formatdate(asked.wall + self.retry_after_s, usegmt=True)
            headers["Retry-After"] = date if self.as_date else f"{self.retry_after_s:.0f}"
        # RFC 9110, 15.3.5, 15.4.5: these have no body, whatever is written.
        body = b"" if self.status in (204, 304) else self.body.encode()
        return Reaction(store=self.store, answer=text_answer(self.status, body, headers))


@dataclasses.dataclass(frozen=True)
class Portal:
    """Stores nothing and answers with a web page, as a hotel's network does."""

    status: int = option(_STATUS, 200, help="The status.")

    def react(self, _asked: Asked, /) -> Reaction:
        """A page to log in on."""
        page = text_answer(self.status, _PAGE, {"Content-Type": "text/html"})
        return Reaction(store=False, answer=page)


@dataclasses.dataclass(frozen=True)
class Redirect:
    """Stores nothing and redirects."""

    to: str = option(Text(), "/elsewhere", help="Location; a path stays on this host.")
    status: int = option(_REDIRECTS, 302, help="The status.")

    def react(self, _asked: Asked, /) -> Reaction:
        """Elsewhere."""
        return Reaction(store=False, answer=text_answer(self.status, b"", {"Location": self.to}))


@dataclasses.dataclass(frozen=True)
class Reject:
    """Refuses the step's items one by one, and stores the others."""

    reason: str = option(Text(), "refused by the script", help="What is said of each.")

    def react(self, asked: Asked, /) -> Reaction:
        """Every picked item, with the reason."""
        return Reaction(rejected=dict.fromkeys(asked.picked, self.reason))


@dataclasses.dataclass(frozen=True)
class Retry:
    """Asks for the step's items again later, and stores the others."""

    def react(self, asked: Asked, /) -> Reaction:
        """Every picked item."""
        return Reaction(retry=asked.picked)


@dataclasses.dataclass(frozen=True)
class WrongIds:
    """Stores everything, and answers with a verdict on ids that were never sent."""

    def react(self, asked: Asked, /) -> Reaction:
        """Ids above all that were sent, and what is no id."""
        strange = max((item.name for item in asked.batch.items), default=0) + 1
        rejected = [{"id": strange, "reason": "never sent"}, "x", None, {"id": str(strange)}]
        body = json.dumps({"rejected": rejected, "retry": [strange + 1, -1, "y"]}).encode()
        return Reaction(answer=text_answer(200, body, {"Content-Type": "application/json"}))


@dataclasses.dataclass(frozen=True)
class BadJson:
    """Stores everything, and answers 200 with a body that begins like JSON and is none."""

    body: str = option(Text(), '{"stored": 1, ', help="The body.")

    def react(self, _asked: Asked, /) -> Reaction:
        """The body as it is written."""
        answer = text_answer(200, self.body.encode(), {"Content-Type": "application/json"})
        return Reaction(answer=answer)


@dataclasses.dataclass(frozen=True)
class LoseAnswer:
    """Stores everything, says nothing and ends the connection."""

    store: bool = option(Flag(), default=True, help="Whether the items are stored first.")
    reset: bool = option(
        Flag(), default=True, help="End with a reset (RST); false: in order (FIN)."
    )

    def react(self, _asked: Asked, /) -> Reaction:
        """Nothing is said."""
        return Reaction(store=self.store, mute=True, reset=self.reset)


@dataclasses.dataclass(frozen=True)
class CutAnswer:
    """Stores everything, and ends the connection in the middle of the answer's body."""

    after_bytes: int = option(Size(), 10, help="How much of the body is said.")
    reset: bool = option(
        Flag(), default=False, help="End with a reset (RST); false: in order (FIN)."
    )

    def react(self, _asked: Asked, /) -> Reaction:
        """The beginning is said."""
        return Reaction(cut_after_bytes=self.after_bytes, reset=self.reset)


@dataclasses.dataclass(frozen=True)
class Hang:
    """Reads the request and is silent, then goes on as the contract says.

    While it is silent, the same Idempotency-Key is answered 409.
    """

    silence_s: float = option(Duration(), _HOUR_S, help="For how long.")
    store: bool = option(Flag(), default=True, help="Store before the silence; false: after it.")

    def react(self, _asked: Asked, /) -> Reaction:
        """Silence on one side of storing or the other."""
        if self.store:
            return Reaction(wait_after_s=self.silence_s)
        return Reaction(wait_before_s=self.silence_s)


@dataclasses.dataclass(frozen=True)
class Drip:
    """Stores everything, and answers one byte at a time."""

    every_s: float = option(Duration(least=0.001), 1.0, help="The time before each byte.")

    def react(self, _asked: Asked, /) -> Reaction:
        """The usual answer, slowly."""
        return Reaction(byte_every_s=self.every_s)


@dataclasses.dataclass(frozen=True)
class LargeAnswer:
    """Stores everything, and answers with more than anybody wants to read."""

    size_bytes: int = option(Size(), _GIGABYTE, help="The body's size, unpacked.")
    packed: bool = option(Flag(), default=False, help="Send it in gzip: a bomb.")
    status: int = option(_STATUS, 200, help="The status.")

    def react(self, _asked: Asked, /) -> Reaction:
        """So many bytes, made as they are sent."""
        plain = _filling(self.size_bytes)
        if self.packed:
            bomb = Answer(self.status, {"Content-Encoding": "gzip"}, _gzipped(plain))
            return Reaction(answer=bomb)
        return Reaction(answer=Answer(self.status, {}, plain, self.size_bytes))


@dataclasses.dataclass(frozen=True)
class Deaf:
    """Accepts connections and never reads from them; a kept one hangs. Counts connections."""

    #: acts before there is a request
    about_items: ClassVar[bool] = False

    def react(self, _asked: Asked, /) -> Reaction:
        """A kept connection hangs until one side gives up."""
        return Reaction(wait_before_s=24 * _HOUR_S)


@dataclasses.dataclass(frozen=True)
class Refuse:
    """Closes the port and every connection for the step's `time`: connection refused."""

    about_items: ClassVar[bool] = False

    def react(self, _asked: Asked, /) -> Reaction:
        """It was read in the moment in which the port was closing."""
        return Reaction(store=False, mute=True)


#: The word after ``do:``, and what it does.
ACTIONS: dict[str, type[Action]] = {
    "normal": Normal,
    "status": Status,
    "portal": Portal,
    "redirect": Redirect,
    "reject": Reject,
    "retry": Retry,
    "wrong_ids": WrongIds,
    "bad_json": BadJson,
    "lose_answer": LoseAnswer,
    "cut_answer": CutAnswer,
    "hang": Hang,
    "drip": Drip,
    "large_answer": LargeAnswer,
    "deaf": Deaf,
    "refuse": Refuse,
}


@dataclasses.dataclass(frozen=True)
class Ids(Kind):
    """A list of ids."""

    noun = "a list of ids"

    def parse(self, written: Any) -> tuple[int, ...]:
        """The ids, in the order written."""
        if not isinstance(written, list) or not written:
            raise ValueError("is no list of ids; write it like [41, 42]")
        return tuple(Whole(least=0).parse(number) for number in written)

    def schema(self) -> dict[str, Any]:
        """An array of integers."""
        return {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of a script: what to do, to which requests, for how long."""

    do: str = option(Choice(tuple(ACTIONS)), help="The action.")
    requests: int | None = option(
        Whole(least=1), None, help="The step ends after so many requests that it was done to."
    )
    time_s: float | None = option(
        Duration(least=0.1), None, help="The step ends so long after the one before it."
    )
    until_stored: int | None = option(
        Whole(least=1), None, help="The step ends when so many items were stored in it."
    )
    where: dict[str, Any] = option(
        Labels(),
        fresh=dict,
        help="Only requests with an item whose data has these values; `metadata.zone` is a path.",
    )
    ids: tuple[int, ...] = option(Ids(), (), help="Only requests with one of these ids.")
    over_items: int | None = option(
        Whole(least=0), None, help="Only requests of more items than this."
    )
    over_size_bytes: int | None = option(
        Size(), None, help="Only requests whose body, unpacked, is larger than this."
    )
    gzip: bool = option(Flag(), default=False, help="Only requests that came in gzip.")

    @property
    def ends(self) -> bool:
        """Whether there is anything that ends it."""
        return not self.requests is self.time_s is self.until_stored is None

    def picks(self, asked: Asked) -> tuple[int, ...] | None:
        """The names of the items that the step is about; None where it lets the request pass."""
        if self.over_items is not None and len(asked.batch.items) <= self.over_items:
            return None
        if self.over_size_bytes is not None and asked.body_bytes <= self.over_size_bytes:
            return None
        if self.gzip and not asked.packed:
            return None
        if not (self.where or self.ids):
            return tuple(item.name for item in asked.batch.items)
        return tuple(i.name for i in asked.batch.items if self._means(i.name, i.data)) or None

    def _means(self, name: int, text: str) -> bool:
        if name in self.ids:
            return True
        if not self.where:
            return False
        data = json.loads(text)
        return all(_same(_at(data, path), value) for path, value in self.where.items())


def _at(data: Any, path: str) -> Any:
    """What a dotted path leads to; a key that has the dots in it goes first."""
    if isinstance(data, dict) and path in data:
        return data[path]
    first, dot, rest = path.partition(".")
    return _at(data[first], rest) if dot and isinstance(data, dict) and first in data else None


def _same(one: Any, other: Any) -> bool:
    """Equal, and a switch is no number."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _filling(size_bytes: int) -> Iterator[bytes]:
    """So many bytes, a piece at a time."""
    piece = b"x" * _PIECE_BYTES
    for _ in range(size_bytes // _PIECE_BYTES):
        yield piece
    yield piece[: size_bytes % _PIECE_BYTES]


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()
