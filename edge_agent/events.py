"""How every room writes to the journal: ``event key=value``, one line, nothing that could break it.

No timestamps (the journal has its own). Text from outside is cut and escaped, so that a server's
answer cannot forge a line.
"""

from __future__ import annotations

import logging

#: Between INFO and WARNING, as syslog has it: a recovery, a step of the clock.
NOTICE = 25
#: The most of any one value that is worth a line in the journal.
LONGEST_VALUE = 200

logging.addLevelName(NOTICE, "NOTICE")


def event(name: str, /, **fields: object) -> str:
    """One journal line: the event's name, then its fields in the order given.

    Args:
        name: what happened, in the project's words (``link_down``).
        fields: what to say of it; a value that is None is left out.

    Returns:
        ASCII text without line breaks; values that contain a space, a quote or an equals sign are
        quoted, longer ones than `LONGEST_VALUE` cut.
    """
    said = (f"{key}={_value(value)}" for key, value in fields.items() if value is not None)
    return " ".join((name, *said))


def _value(value: object) -> str:
    """One value, as text that cannot end its line or its field."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    text = str(value)
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - 3] + "..."
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    if text == "" or any(c in text for c in ' "='):
        return '"' + text.replace('"', "'") + '"'
    return text
