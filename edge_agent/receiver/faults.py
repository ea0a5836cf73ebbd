"""Plays on a socket what a script chose: silence, a byte at a time, an end in the middle."""

from __future__ import annotations

import math
import select
import socket
import struct
from collections.abc import Iterable, Iterator

#: poll(2) counts in milliseconds, in an int.
_LONGEST_POLL_MS = 2**31 - 1
_AT_ONCE = struct.pack("ii", 1, 0)


class Ended(ConnectionError):
    """The connection is over, as the script or the other side wanted."""


def be_silent(connection: socket.socket, seconds: float = math.inf) -> None:
    """Say nothing for a time; a receiver that closes wakes it.

    Raises:
        Ended: the other side, or this receiver, hung up meanwhile.
    """
    if seconds <= 0:
        return
    # POLLRDHUP: the end of what can be read, and not what comes before it (poll(2)).
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    if poll.poll(None if seconds == math.inf else min(seconds * 1000, _LONGEST_POLL_MS)):
        raise Ended("the other side hung up")


def say(
    connection: socket.socket,
    head: bytes,
    body: Iterable[bytes],
    *,
    byte_every_s: float = 0.0,
    cut_after_bytes: int | None = None,
) -> None:
    """Send an answer; a short one in one write.

    Args:
        connection: where to.
        head: status line and fields.
        body: in pieces, each of which is made when the one before it is sent.
        byte_every_s: seconds before each byte; 0 sends as fast as it goes.
        cut_after_bytes: how much of the body to send; None: all of it.

    Raises:
        Ended: the other side hung up.
    """
    for piece in _joined(head, body if cut_after_bytes is None else _first(body, cut_after_bytes)):
        if not byte_every_s:
            connection.sendall(piece)
            continue
        for byte in piece:
            be_silent(connection, byte_every_s)
            connection.sendall(bytes((byte,)))


def reset(connection: socket.socket) -> None:
    """End a connection with RST; whoever closes it later finds it gone."""
    # A linger of nothing: close() resets (socket(7), SO_LINGER; RFC 9293, 3.10.4).
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    # Files made of the socket would keep it open; they are left without it.
    socket.close(connection.detach())


def _joined(head: bytes, body: Iterable[bytes]) -> Iterator[bytes]:
    """Head and first piece together: apart, the second write waits for an acknowledgement."""
    pieces = iter(body)
    yield head + next(pieces, b"")
    yield from pieces


def _first(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """So many bytes from the beginning."""
    for piece in pieces:
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return
