"""Which requests are being worked on: the same key twice at once must not be stored twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http import HTTPStatus

from edge_agent.receiver.batch import Refusal


class Claims:
    """The keys in progress. Thread-safe; they end with the process, and the answers do not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()

    @contextlib.contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Work on a request; an empty key is nobody's.

        Raises:
            Refusal: (409) somebody works on it already.
        """
        with self._lock:
            if key in self._held:
                raise Refusal(
                    "a request with this Idempotency-Key is in progress; send the same again later",
                    status=HTTPStatus.CONFLICT,
                )
            if key:
                self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)
