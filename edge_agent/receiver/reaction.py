"""What is done to one request: plain data that `script` chooses and `faults` plays."""

from __future__ import annotations

import http
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.receiver.batch import Batch


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that the contract has no objection to."""

    batch: Batch
    #: of the body, unpacked
    body_bytes: int
    #: whether the body came in gzip
    packed: bool
    #: the names of the items that the step is about
    picked: tuple[int, ...] = ()
    #: Unix seconds, for an answer that names a date
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer other than the contract's."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    #: piece by piece, so that a large one is never in memory
    body: Iterable[bytes] = ()
    #: what Content-Length says; None leaves it out, and the end is where the connection ends
    length: int | None = None

    def head(self, *more: tuple[str, str]) -> bytes:
        """Status line and fields, the blank line included (RFC 9112, 2.1)."""
        phrases = {status.value: status.phrase for status in http.HTTPStatus}
        end = [("Connection", "close")] if self.length is None else []
        # RFC 9110, 8.6: none in a 204, which ends where its head does.
        untold = self.length is None or self.status == http.HTTPStatus.NO_CONTENT
        length = [] if untold else [("Content-Length", str(self.length))]
        fields = (f"{name}: {said}" for name, said in (*more, *self.headers.items(), *length, *end))
        lines = (f"HTTP/1.1 {self.status} {phrases.get(self.status, 'Scripted')}", *fields, "", "")
        return "\r\n".join(lines).encode("latin-1", "replace")


def text_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose body is at hand."""
    return Answer(status, headers or {}, (body,), len(body))


@dataclass(frozen=True, slots=True)
class Reaction:
    """What is done to one request; the default is what the contract says."""

    #: seconds of silence before anything is stored
    wait_before_s: float = 0.0
    store: bool = True
    #: names of items that are refused, each with the reason
    rejected: Mapping[int, str] = field(default_factory=dict)
    #: names of items that are to come again
    retry: Sequence[int] = ()
    #: seconds of silence between storing and answering, in which the request is in progress
    wait_after_s: float = 0.0
    #: None: what the contract says
    answer: Answer | None = None
    #: whether nothing at all is said, and the connection ends
    mute: bool = False
    #: seconds before each byte of the answer
    byte_every_s: float = 0.0
    #: bytes of the answer's body after which the connection ends; None: all of it is said
    cut_after_bytes: int | None = None
    #: whether a connection that ends does so with a reset
    reset: bool = False


#: As if there were no script.
NORMAL = Reaction()
