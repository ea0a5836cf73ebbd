"""How much goes into one request: less after what was too much, more again after what passed."""

from __future__ import annotations

#: Full requests in a row that pass before twice as much is tried.
GROWS_AFTER = 8
#: A server that refuses less than this means something else.
_LEAST_BYTES = 1024


class Sizing:
    """The present size of a request, between one item and what is configured."""

    def __init__(self, batch_size: int, max_body_bytes: int) -> None:
        """Begin with what is configured.

        Args:
            batch_size: most items.
            max_body_bytes: most bytes of body, uncompressed.
        """
        #: most items of the next request
        self.items = batch_size
        #: most bytes of the next request's body; what a server has taught it, it keeps
        self.max_bytes = max_body_bytes
        self._batch_size = batch_size
        self._passed = 0
        #: items and bytes before the split that goes on; None while there is none
        self._unsplit: tuple[int, int] | None = None

    def passed(self, items: int, *, splitting: bool = False) -> None:
        """A request with so many items was taken; whether parts of a larger one are still to go."""
        if not splitting:
            self._unsplit = None
        if self.items == self._batch_size or items < self.items:
            return
        self._passed += 1
        if self._passed == GROWS_AFTER:
            self.items, self._passed = min(self._batch_size, 2 * self.items), 0

    def too_slow(self, items: int) -> None:
        """A request with so many items did not get through in time."""
        self.items, self._passed = max(1, min(self.items, items // 2)), 0

    def too_large(self, items: int, body_bytes: int) -> None:
        """A request with so many items and bytes was too large for the server.

        A single item says nothing of others. Left of a larger request it was what was too large
        in it: whatever was learnt from that request is forgotten.
        """
        if items == 1:
            self.items, self.max_bytes = self._unsplit or (self.items, self.max_bytes)
            self._unsplit = None
            return
        self._unsplit = self._unsplit or (self.items, self.max_bytes)
        self.too_slow(items)
        self.max_bytes = min(self.max_bytes, max(_LEAST_BYTES, body_bytes // 2))
