"""A link with a bandwidth, a distance and a meter: a TCP proxy that holds back what it carries.

What it does not show: lost packets, TCP's slow start, and the heads of TCP and IP (some 3 percent
of full packets).
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

#: As much as a packet holds: what is held back is held back in such pieces.
_PIECE_BYTES = 1400


@dataclasses.dataclass
class Line:
    """One direction's bandwidth, which all connections share."""

    bits_per_s: float
    #: bytes that went over it
    bytes: int = 0
    #: monotonic second of the first of them
    first_at: float | None = None
    _free_at: float = 0.0
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def send(self, count: int) -> float:
        """Take so many bytes; the monotonic second at which the last of them has left."""
        with self._lock:
            now = time.monotonic()
            self.first_at = self.first_at or now
            self.bytes += count
            self._free_at = max(now, self._free_at) + 8 * count / self.bits_per_s
            return self._free_at


class SlowLink:
    """Listens on a port of this machine and carries to another; as a context manager."""

    def __init__(
        self, target: tuple[str, int], *, up_bps: float, down_bps: float, round_trip_s: float
    ) -> None:
        """Prepare.

        Args:
            target: host and port behind the link.
            up_bps: bits per second towards the target.
            down_bps: bits per second back.
            round_trip_s: what each exchange takes besides, and the making of a connection.
        """
        self.up, self.down = Line(up_bps), Line(down_bps)
        self._target = target
        self.round_trip_s = round_trip_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in (self._listener, *self._open):
            # Whoever still waits in accept() or recv() is woken.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._open):
            one.close()

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open.append(near)
                far = socket.create_connection(self._target)
                self._open.append(far)
                for one in (near, far):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # The handshake of TCP itself: one round trip before the first byte.
                ready = time.monotonic() + self.round_trip_s
                self._carry(near, far, self.up, ready)
                self._carry(far, near, self.down, ready)

    def _carry(self, source: socket.socket, sink: socket.socket, line: Line, ready: float) -> None:
        on_its_way: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._start(self._take, source, line, ready, on_its_way)
        self._start(self._give, sink, on_its_way)

    def _take(
        self,
        source: socket.socket,
        line: Line,
        ready: float,
        on_its_way: queue.Queue[tuple[float, bytes]],
    ) -> None:
        for piece in _pieces(source):
            time.sleep(max(0.0, ready - time.monotonic()))
            on_its_way.put((line.send(len(piece)) + self.round_trip_s / 2, piece))
        on_its_way.put((time.monotonic() + self.round_trip_s / 2, b""))

    def _give(self, sink: socket.socket, on_its_way: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                arrives, piece = on_its_way.get()
                time.sleep(max(0.0, arrives - time.monotonic()))
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(piece)


def _pieces(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            yield piece
