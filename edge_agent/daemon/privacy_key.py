"""The key that privacy hashes with: a file, made at first need where none is named.

No field passes because a key is missing: what is to be hashed is dropped until there is one.
"""

from __future__ import annotations

import logging
import secrets
import threading
from pathlib import Path

from edge_agent import files
from edge_agent.clock import Clock
from edge_agent.config.model import Config
from edge_agent.daemon.journal import Say
from edge_agent.events import NOTICE, event
from edge_agent.processing.privacy import Shield

#: Of a generated key, as twice as many hexadecimal digits: what SHA-256 gives out, which RFC 2104,
#: section 3, asks for at the least.
_GENERATED_BYTES = 32
#: A shorter key could be found by trying.
LEAST_BYTES = 16
#: A longer file is something else, named by mistake.
MOST_BYTES = 4096
#: Between two looks for a key that is missing.
_AGAIN_S = 60.0


def make_shield(config: Config, clock: Clock, *, say: Say) -> Shield:
    """What the configuration wants kept from the disk; a key that is missing is told here."""
    privacy = config.privacy
    path = Path(privacy.key_file or Path(config.queue.path).with_name("privacy.key"))
    key = KeyFile(path, clock, generate=not privacy.key_file, say=say)
    if privacy.hash:
        # Not only when the first reading wants it, maybe in the middle of a transaction.
        key()
    return Shield(drop=privacy.drop, hashed=privacy.hash, rounded=privacy.round, key=key)


class KeyFile:
    """Calls give the key, or None while there is none; that is told once, and so is its end.

    Thread-safe: two threads that need the first key make one.
    """

    def __init__(self, path: Path, clock: Clock, *, generate: bool, say: Say) -> None:
        """Open nothing yet.

        Args:
            path: of the file; white space around the key does not count.
            clock: times the next look for a key that is missing.
            generate: whether a missing file is made.
            say: is told.
        """
        self._path = path
        self._clock = clock
        self._generate = generate
        self._say = say
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self._look_at = float("-inf")
        self._trouble = ""

    def __call__(self) -> bytes | None:
        """The key; the file is read once, and while it is missing once a minute."""
        with self._lock:
            if self._key is None and self._clock.monotonic() >= self._look_at:
                self._look()
            return self._key

    def _look(self) -> None:
        try:
            self._key = self._read()
        except (OSError, ValueError) as error:
            self._look_at = self._clock.monotonic() + _AGAIN_S
            self._tell_trouble(getattr(error, "strerror", None) or str(error))
        else:
            if self._trouble:
                self._say(NOTICE, event("privacy_key_found", file=self._path))

    def _tell_trouble(self, reason: str) -> None:
        if not self._trouble:
            do = "put a key there; what is to be hashed is dropped until then"
            line = event("privacy_key_missing", file=self._path, reason=reason, do=do)
            self._say(logging.WARNING, line)
        self._trouble = reason

    def _read(self) -> bytes:
        """The key in the file.

        Raises:
            OSError: it cannot be read, or not be made.
            ValueError: what stands in it is no key.
        """
        try:
            with self._path.open("rb") as file:
                key = file.read(MOST_BYTES + 1).strip()
        except FileNotFoundError:
            if not self._generate:
                raise
            key = secrets.token_hex(_GENERATED_BYTES).encode()
            files.replace(self._path, key + b"\n")
        if not LEAST_BYTES <= len(key) <= MOST_BYTES:
            raise ValueError(f"holds no key of {LEAST_BYTES} to {MOST_BYTES} bytes")
        return key
