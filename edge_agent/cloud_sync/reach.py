"""A connection within one time-out: the look-up of the name, and every address it has.

``getaddrinfo`` takes no time-out. Three name servers that never answer hold it for 19 s, and again
for each search domain, which is longer than any request may take. And urllib3 grants its time-out
to each address anew, so that eight addresses behind a black hole take eight times as long.

Source:
    resolv.conf(5), ``timeout``, ``attempts`` and ``search``; ``create_connection`` of
    ``urllib3.util.connection``. RFC 8305, 4: one family of addresses must not starve the other.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from urllib3.util.connection import allowed_gai_family

#: What `socket.getaddrinfo` returns: family, type, protocol, canonical name, address.
Found = list[tuple[Any, ...]]


def _ask_system(host: str, port: int) -> Found:
    """The system's own look-up; takes as long as it takes."""
    return list(socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM))


class Lookup:
    """Looks one server's name up, in a thread of its own; never two look-ups at once.

    A look-up cannot be interrupted. One that takes too long is left to itself: the next call waits
    for it instead of beginning another, and takes the addresses that it found meanwhile.
    """

    def __init__(self, ask: Callable[[str, int], Found] = _ask_system) -> None:
        self._ask = ask
        #: the look-up whose answer nobody has taken yet
        self._begun: Future[Found] | None = None

    def addresses(self, host: str, port: int, within_s: float) -> Found:
        """The name's addresses, as the system orders them.

        Raises:
            socket.gaierror: it cannot be looked up, or not within ``within_s`` seconds.
            UnicodeError: it is no name.
        """
        if self._begun is None or _failed(self._begun):
            self._begun = self._begin(host, port)
        with contextlib.suppress(TimeoutError):
            found = self._begun.result(within_s)
            self._begun = None
            return found
        raise socket.gaierror(socket.EAI_AGAIN, f"no name server answers in {within_s:.0f} s")

    def _begin(self, host: str, port: int) -> Future[Found]:
        answer: Future[Found] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ask(host, port))
            except (OSError, UnicodeError) as exc:
                answer.set_exception(exc)

        # A daemon thread: a look-up that hangs must not hold up the end of the process.
        threading.Thread(target=ask, name="lookup", daemon=True).start()
        return answer


def _failed(answer: Future[Found]) -> bool:
    """Whether a look-up came to nothing: an old failure says nothing of today's network."""
    return answer.done() and answer.exception() is not None


def connect(
    lookup: Lookup, host: str, port: int, within_s: float, options: Iterable[Sequence[Any]]
) -> socket.socket:
    """Connect to the first address that takes it.

    Args:
        lookup: asked for the addresses.
        host: a name or an address, IPv6 with or without brackets.
        port: the server's.
        within_s: seconds for all of it.
        options: for ``setsockopt``.

    Returns:
        the socket; what is left of the time is its time-out.

    Raises:
        OSError: no address took it, or none in time.
        UnicodeError: the host is no name.
    """
    deadline = time.monotonic() + within_s
    found = _alternating(lookup.addresses(host.strip("[]"), port, within_s))
    failure: OSError = TimeoutError("no answer in time")
    for count, (family, kind, protocol, _, address) in enumerate(found, 1):
        left_s = deadline - time.monotonic()
        if left_s <= 0.0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            # A black hole at one address leaves time for the others.
            sock.settimeout(left_s if count == len(found) else left_s / 2)
            sock.connect(address)
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
        except OSError as exc:
            sock.close()
            failure = exc
        else:
            return sock
    raise failure


def _alternating(found: Found) -> Found:
    """The addresses in their order, but each family in its turn."""
    families = list(dict.fromkeys(entry[0] for entry in found))
    groups = ([entry for entry in found if entry[0] == family] for family in families)
    turns = itertools.zip_longest(*groups)
    return [entry for turn in turns for entry in turn if entry is not None]
