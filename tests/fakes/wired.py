"""A command of the product with something on its mock pins: ``wired.py DIRECTORY COMMAND…``.

For each file ``NUMBER.wanted`` in DIRECTORY the pin of that number is driven up and down until it
had as many edges as the file says; ``NUMBER.made`` says how many it had. Both go on counting when
the process is started again.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

#: From edge to edge: 500 pulses a second at the most.
PAUSE_S = 0.001


def _watched(number: int) -> Any:
    """The pin, as soon as the agent watches it."""
    while True:
        # The agent imports it when it needs it; whoever is first would meet it half made.
        factory = getattr(getattr(sys.modules.get("gpiozero"), "Device", None), "pin_factory", None)
        pins = list(factory.pins.values()) if factory else []
        for pin in pins:
            if repr(pin) == f"GPIO{number}" and pin.when_changed is not None:
                return pin
        time.sleep(PAUSE_S)


def _drive(wanted: Path) -> None:
    made_file = wanted.with_suffix(".made")
    made = int(made_file.read_text() or 0) if made_file.exists() else 0
    while True:
        if made < int(wanted.read_text() or 0):
            pin = _watched(int(wanted.stem))
            (pin.drive_low if pin.state else pin.drive_high)()
            made += 1
            # At the same place, in one piece: a kill leaves the old number or the new one.
            with made_file.open("r+b" if made > 1 else "wb", buffering=0) as file:
                file.write(b"%09d" % made)
        time.sleep(PAUSE_S)


def main() -> int:
    """Start driving, and run the command."""
    for wanted in Path(sys.argv[1]).glob("*.wanted"):
        threading.Thread(target=_drive, args=(wanted,), daemon=True).start()
    from edge_agent.cli.main import main as command  # noqa: PLC0415  # after the path is set

    # COMMAND is: python -m edge_agent ARGUMENTS.
    return command(sys.argv[5:])


if __name__ == "__main__":
    # In place of this folder, whose modules are not to be found by their bare names.
    sys.path[0] = str(Path(__file__).parents[2])
    sys.exit(main())
