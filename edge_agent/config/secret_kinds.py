"""The kinds of value that may hold a secret: no message of theirs quotes what was written."""

from __future__ import annotations

import dataclasses
import re
from typing import Any
from urllib.parse import urlsplit

from edge_agent.kinds import Kind


@dataclasses.dataclass(frozen=True)
class Secret(Kind):
    """A text that no message, log line or ``repr`` ever shows."""

    noun = "a secret text"
    secret = True

    def parse(self, written: Any) -> str:
        """The text; what goes into a header must be one line of printable ASCII."""
        if not isinstance(written, str):
            raise ValueError("is no text; put it in quotes")
        if not re.fullmatch(r"[!-~]+", written):
            raise ValueError("is empty, or has a space or a character that is not ASCII in it")
        return str(written)

    def schema(self) -> dict[str, Any]:
        """A string without spaces."""
        return {"type": "string", "pattern": "^[!-~]+$"}


@dataclasses.dataclass(frozen=True)
class SecretFile(Kind):
    """The path of a file with a secret in it; a secret put here by mistake is not shown."""

    noun = "an absolute path"

    def parse(self, written: Any) -> str:
        """The path."""
        if not isinstance(written, str) or not re.fullmatch(r"/[^\x00]*", written):
            raise ValueError("is not an absolute path; the secret itself belongs into that file")
        return str(written)

    def schema(self) -> dict[str, Any]:
        """A string that begins with a slash."""
        return {"type": "string", "pattern": "^/"}


@dataclasses.dataclass(frozen=True)
class Url(Kind):
    """An address with scheme and host. Its text may hold a password, so no message shows it."""

    noun = "a URL"
    secret = True

    def parse(self, written: Any) -> str:
        """The URL, of scheme http or https."""
        sentence = "is no URL; write it like https://api.example.com/v1/ingest"
        if not isinstance(written, str) or not re.fullmatch(r"[!-~]+", written):
            raise ValueError(sentence)
        try:
            parts = urlsplit(written)
            named = parts.hostname and parts.port != 0
        except ValueError:
            named = False
        if not named or parts.scheme not in ("http", "https"):
            raise ValueError(sentence)
        return str(written)

    def schema(self) -> dict[str, Any]:
        """A string that begins with a scheme and goes on with a host."""
        return {"type": "string", "pattern": "^https?://[!-.0-~][!-~]*$"}

    def limits(self) -> str:
        """The schemes."""
        return "http:// or https://"


@dataclasses.dataclass(frozen=True)
class Headers(Kind):
    """HTTP header fields, except those that are ``ours``. A value may be a key: never shown."""

    #: names that cannot be given, in lower case
    ours: tuple[str, ...] = ()
    noun = "a mapping of header names to texts"
    secret = True

    def parse(self, written: Any) -> dict[str, str]:
        """The fields: a token each, with visible ASCII.

        Source: RFC 9110, sections 5.1 and 5.5.
        """
        if not isinstance(written, dict):
            raise ValueError("is no mapping; write it like {X-Tenant: north}")
        given = {name: value for name, value in written.items() if value is not None}
        for name, value in given.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"'{name}' is no name for a header")
            if name.lower() in self.ours:
                raise ValueError(f"the header '{name}' is set by the agent itself; leave it out")
            if not isinstance(value, str) or not re.fullmatch(r"[ -~\t]*", value):
                raise ValueError(f"the header '{name}' must be a text of one line, in ASCII")
        return {name: str(value) for name, value in given.items()}

    def schema(self) -> dict[str, Any]:
        """An object of strings."""
        return {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
