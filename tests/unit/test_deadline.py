"""The reader that rations a socket's time and bytes, on a socket that only keeps count."""

from __future__ import annotations

import io

import pytest

from edge_agent.cloud_sync import deadline


class Socket:
    """Has a time-out, and hands out what it was given, each piece after a while."""

    def __init__(self, *pieces: tuple[float, bytes]) -> None:
        self.now_s = 100.0
        self.timeouts_s: list[float] = [30.0]
        self._pieces = iter(pieces)

    def gettimeout(self) -> float:
        return self.timeouts_s[-1]

    def settimeout(self, seconds: float) -> None:
        self.timeouts_s.append(seconds)

    def readinto(self, buffer: bytearray) -> int:
        wait_s, piece = next(self._pieces, (0.0, b""))
        self.now_s += wait_s
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def rationed(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes a reader over a socket, with the socket's time for the clock."""

    def make(sock: Socket) -> io.BufferedReader:
        monkeypatch.setattr(deadline.time, "monotonic", lambda: sock.now_s)
        return io.BufferedReader(deadline._Rationed(sock, sock))  # type: ignore[arg-type]  # a fake

    return make


def test_reader_grants_each_wait_only_what_is_left(rationed: object) -> None:
    """And leaves the socket with the time-out it had, for the next request."""
    sock = Socket((12.0, b"ab"), (17.0, b"cd"), (2.0, b"ef"))
    with rationed(sock) as reader:  # type: ignore[operator]  # a factory
        assert reader.read(4) == b"abcd"
        assert sock.timeouts_s == [30.0, 30.0, 30.0, 18.0, 30.0]
        assert reader.read(2) == b"ef"
        assert sock.timeouts_s[-2:] == [1.0, 30.0]
        with pytest.raises(TimeoutError, match="longer than a request may"):
            reader.read(1)


def test_reader_gives_up_what_never_ends(rationed: object) -> None:
    """A mebibyte is taken, not a byte more."""
    piece = b"x" * 8192
    full = deadline.MOST_WIRE_BYTES // len(piece)
    sock = Socket(*[(0.0, piece)] * full, (0.0, b"x"))
    with rationed(sock) as reader:  # type: ignore[operator]  # a factory
        assert len(reader.read(deadline.MOST_WIRE_BYTES)) == deadline.MOST_WIRE_BYTES
        with pytest.raises(OSError, match="longer than 1048576 bytes"):
            reader.read(1)
