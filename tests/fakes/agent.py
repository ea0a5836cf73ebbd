"""An agent reduced to what a receiver sees of it: requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any, Self

from edge_agent.receiver.handler import INGEST_PATH

JSON = {"Content-Type": "application/json"}


def batch_body(*ids: int, queue_id: str = "q-1") -> bytes:
    """A request's body with one small reading per id."""
    items = [{"id": number, "data": {"value": number}} for number in ids]
    return json.dumps(
        {"version": 1, "device_id": "pi-7", "queue_id": queue_id, "batch": items}
    ).encode()


@contextlib.contextmanager
def connected(address: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    """A connection to a receiver, closed at the end."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
        yield connection


def ask(
    connection: http.client.HTTPConnection,
    body: bytes = b"",
    headers: dict[str, str] = JSON,
    *,
    method: str = "POST",
    path: str = INGEST_PATH,
) -> tuple[int, Any]:
    """One request; the answer's status and its JSON."""
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


class Sender:
    """Sends numbered batches one after the other, each until it is answered with 200.

    As a context manager: a thread that is ended with the context, finished or not.
    """

    BATCHES = 150
    ITEMS = 5

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.answered: list[int] = []
        self._progress = threading.Condition()
        self._stopped = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        for number in range(self.BATCHES):
            ids = range(number * self.ITEMS, (number + 1) * self.ITEMS)
            while not self._delivered(batch_body(*ids)):
                if self._stopped:
                    return
            with self._progress:
                self.answered.extend(ids)
                self._progress.notify()

    def wait_for(self, batches: int) -> None:
        """Block until so many batches have been answered."""
        with self._progress:
            assert self._progress.wait_for(
                lambda: len(self.answered) >= batches * self.ITEMS, timeout=60
            )

    def _delivered(self, body: bytes) -> bool:
        try:
            with connected(self._address) as connection:
                return ask(connection, body)[0] == 200
        except (OSError, http.client.HTTPException):
            return False
