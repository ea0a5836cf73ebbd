"""The key that a server asks for: given as a text, or read from its file whenever that changes."""

from __future__ import annotations

from pathlib import Path

from edge_agent.errors import UploaderError


class ApiKey:
    """A key, or the file it stands in; read when it is needed, so a new one is used at once."""

    def __init__(self, key: str, file: str | Path | None) -> None:
        self._key = _checked_key(key, "api_key")
        self._file = Path(file) if file else None
        self._seen = self._stamp()

    def __repr__(self) -> str:
        """Where the key comes from; never the key."""
        return f"ApiKey({'file' if self._file else 'text'})"

    def read(self) -> str:
        """The key; empty where none is set.

        Raises:
            UploaderError: the file is missing, unreadable or holds no usable key.
        """
        if self._file is None:
            return self._key
        self._seen = self._stamp()
        try:
            text = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "not a text file"
            raise UploaderError(f"no key in {self._file}: {why}; put the API key there") from None
        key = _checked_key(text, str(self._file))
        if not key:
            raise UploaderError(f"no key in {self._file}: it is empty; put the API key there")
        return key

    def changed(self) -> bool:
        """Whether there is another file than the one last read."""
        return self._stamp() != self._seen

    def _stamp(self) -> tuple[int, ...]:
        """What changes with the file; empty where there is none."""
        try:
            stat = self._file.stat() if self._file else None
        except OSError:
            return ()
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else ()


def _checked_key(text: str, where: str) -> str:
    """The key without the newline an editor leaves behind.

    Raises:
        UploaderError: it has characters that no header field can carry.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise UploaderError(f"the key in {where} has characters that are no printable ASCII")
    return key
