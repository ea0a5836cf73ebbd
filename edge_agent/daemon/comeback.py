"""When a link that the kernel says may be back is tried, besides its back-off."""

from __future__ import annotations

import math

#: The tries that one announcement is worth: names often cannot be looked up yet when a route is
#: there, and IPv6 takes up to two seconds to make sure that an address is free (RFC 4862, 5.4).
TRIES = 2
#: From the first of them to the second, so that both come within 5 s of the link's return.
AGAIN_S = 2.5
#: A link that flaps, announced every few seconds, is tried once in this time.
EVERY_S = 5.0


class Comeback:
    """Turns announcements into tries: two a link that is down, in the long run one in `EVERY_S`.

    The second try of an announcement is one that later ones have to wait for. `announce` is for any
    thread, everything else for the flusher's. All times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._announced = False
        self._tries = 0
        self._due = math.inf
        #: until when the tries so far have used up what is allowed
        self._spent_until = -math.inf

    def announce(self) -> None:
        """A way may have opened."""
        self._announced = True

    def next_try(self, now: float, *, down: bool) -> float:
        """When to try.

        Args:
            now: the time.
            down: whether the link is down; an announcement says nothing to a server that wants to
                be left alone, and nothing new of a link that is up.

        Returns:
            infinity: no try is due.
        """
        if self._announced:
            self._announced = False
            # One that waits already is not put off.
            self._due = min(self._due, now) if self._tries else now
            self._tries = TRIES
        if not down:
            self._tries = 0
        return max(self._due, self._spent_until - EVERY_S) if self._tries else math.inf

    def tried(self, now: float) -> None:
        """A try begins."""
        self._tries -= 1
        self._due = now + AGAIN_S
        self._spent_until = max(self._spent_until, now) + EVERY_S
