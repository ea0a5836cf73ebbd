"""One pin as an input, and gpiozero's failures in words.

gpiozero 1.6.2 (Debian) and 2 (Raspberry Pi OS) do the work, through lgpio unless
``GPIOZERO_PIN_FACTORY`` names another library. Left alone, gpiozero would try one library after
the other, warn, and take what only looks as if it worked; here a fallback is an error.

When lgpio is imported it makes a FIFO in ``LG_WD`` and takes the whole process into that directory
(Source: joan2937/lg, lgUtil.c and lgpio.py). The service's unit sets ``LG_WD`` to its runtime
directory; where nobody has, it gets a directory of its own. The process is led back afterwards.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.options import Choice, Conflict, Kind, option

#: The reader thread of all pins; a chip on SPI has another.
BUS = "gpio"
_MOST = 27
#: I2C's pins, which have resistors of 1.8 kOhm to 3.3 V on every board.
_PULLED_UP = (2, 3)
# An edge that is handed over later than this bears some other clock's time.
_LATEST_S = 10.0
_PULLS = {"up": True, "down": False, "none": None}
_DEV = Path("/dev")
_PACKAGES = "python3-gpiozero python3-lgpio"

# The library is imported and its one pin factory made by whichever reader thread is first.
_lock = threading.RLock()


@dataclasses.dataclass(frozen=True)
class PinNumber(Kind):
    """A pin by its BCM number; the position on the header is another number."""

    noun = "a BCM number"

    def parse(self, written: Any) -> int:
        """The number of ``17`` or ``GPIO17``."""
        found = re.fullmatch(r"GPIO([0-9]{1,2})", written) if isinstance(written, str) else None
        number = int(found[1]) if found else written
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST:
            shown = f"'{written}'" if isinstance(written, str) else written
            raise ValueError(f"{shown} is no pin; write its BCM number, 0 to {_MOST}, or GPIO17")
        return number

    def schema(self) -> dict[str, Any]:
        """The number, or the text."""
        number = {"type": "integer", "minimum": 0, "maximum": _MOST}
        text = {"type": "string", "pattern": "^GPIO([01]?[0-9]|2[0-7])$"}
        return {"anyOf": [number, text]}

    def limits(self) -> str:
        """Both ways to write it."""
        return f"0 to {_MOST}, or GPIO0 to GPIO{_MOST}"


def pin_option() -> Any:
    """The option ``pin`` of what hangs on one."""
    return option(
        PinNumber(),
        help="The pin, by its BCM number (GPIO17), not by its place on the header.",
    )


def pull_option() -> Any:
    """The option ``pull`` of what hangs on one pin."""
    return option(
        Choice(tuple(_PULLS)),
        "up",
        help="The pin's own resistor: up, for a switch or an open collector between pin and GND; "
        "down, for a switch to 3.3 V; none, where the circuit has one to 3.3 V itself.",
    )


def pull_conflicts(pin: int, pull: str) -> Iterator[Conflict]:
    """What does not fit a pin that has its own resistor on the board."""
    if pin in _PULLED_UP and pull != "up":
        yield (
            ("pull", "pin"),
            f"cannot be {pull}: GPIO2 and GPIO3 have a resistor to 3.3 V on the board; use up",
        )


class Input:
    """One claimed pin, watched for edges until it is closed.

    ``on_edge`` is called by the pin library's thread, once for each edge, with the time of the edge
    and whether it closed the circuit; it must neither raise nor wait.
    """

    def __init__(
        self,
        number: int,
        pull: str,
        on_edge: Callable[[float, bool], None],
        monotonic: Callable[[], float],
        *,
        closing_only: bool = False,
    ) -> None:
        """Claim the pin and watch it.

        Args:
            number: by BCM.
            pull: ``up``, ``down`` or ``none``; but for ``down``, low is closed.
            on_edge: see above.
            monotonic: the clock the edges' times are on.
            closing_only: leave out the edges that open the circuit.

        Raises:
            SensorError: there is no library, or the pin cannot be had.
        """
        self._place = f"GPIO{number}"
        self._closed_state = pull == "down"
        self._on_edge = on_edge
        self._monotonic = monotonic
        with opening(self._place) as gpiozero:
            floating = {"active_state": False} if pull == "none" else {}
            self._device = gpiozero.InputDevice(number, pull_up=_PULLS[pull], **floating)
            try:
                self._watch("rising" if self._closed_state else "falling", closing_only)
            except BaseException:
                self._device.close()
                raise

    def is_closed(self) -> bool:
        """Whether the circuit is closed at this moment.

        Raises:
            SensorError: the library cannot read it.
        """
        with in_words(self._place):
            return bool(self._device.pin.state) == self._closed_state

    def close(self) -> None:
        """Let go of the pin; an edge that is under way is dropped."""
        self._on_edge = _drop
        with contextlib.suppress(SensorError), in_words(self._place):
            self._device.close()

    def _watch(self, closing: str, closing_only: bool) -> None:  # noqa: FBT001  # said by the caller
        pin = self._device.pin
        # gpiozero takes a handler away in two steps, and an edge in between ends lgpio's thread and
        # so every edge of this process. So it is done here, where the line is quiet still, and
        # `close` leaves it to the library: the handler's end is noticed by itself.
        pin.when_changed = None
        # No bounce time: RPi.GPIO would ignore what follows an edge, lgpio would drop every pulse
        # that is shorter (Source: lg, lgPthAlerts.c; gpiozero, pins/rpigpio.py).
        pin.edges = closing if closing_only else "both"
        # It is held weakly.
        pin.when_changed = self._changed

    def _changed(self, ticks: float, state: int) -> None:
        now = self._monotonic()
        # With lgpio it is the kernel's time of the edge, on the same clock; then it does not matter
        # how late this thread gets its turn. Other libraries count otherwise, or from here.
        at = ticks if now - _LATEST_S <= ticks <= now else now
        self._on_edge(at, bool(state) == self._closed_state)


@contextlib.contextmanager
def opening(place: str) -> Iterator[Any]:
    """Set something up with gpiozero: imported now if it never was, and no silent fallback.

    Args:
        place: what is set up, for the messages: ``GPIO17``.

    Yields:
        the module.

    Raises:
        SensorError: with a one-word ``reason``, for whatever the library is known to raise.
    """
    # Back from wherever lgpio takes the process.
    with _lock, in_words(place), contextlib.chdir("."), warnings.catch_warnings():
        # pkg_resources, which 1.6.2 needs, warns of its own end: nobody here can help that.
        warnings.simplefilter("ignore")
        import gpiozero  # noqa: PLC0415  # a machine without sensors on pins need not load it

        if gpiozero.Device.pin_factory is None:
            _settle_the_library()
        for fallback in (gpiozero.PinFactoryFallback, gpiozero.SPISoftwareFallback):
            warnings.simplefilter("error", fallback)
        yield gpiozero


def _settle_the_library() -> None:
    """Say which library gpiozero is to use, and where lgpio may put its FIFO; once is enough."""
    # Without a name it tries all, down to one that reads a file which is no longer there.
    if not os.environ.get("GPIOZERO_PIN_FACTORY"):
        os.environ["GPIOZERO_PIN_FACTORY"] = "lgpio"
    if os.environ["GPIOZERO_PIN_FACTORY"] == "lgpio" and not os.environ.get("LG_WD"):
        given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        os.environ["LG_WD"] = given or _directory_of_its_own()


def _directory_of_its_own() -> str:
    """One that goes with the process."""
    directory = tempfile.mkdtemp(prefix="pyvorin-lgpio-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@contextlib.contextmanager
def in_words(place: str) -> Iterator[None]:
    """Make a `SensorError` of what gpiozero or a library below it raises.

    Raises:
        SensorError: what failed at ``place``, why, and what to do.
    """
    try:
        yield
    except _known_errors() as error:
        reason, remedy = _diagnosis(error)
        raise SensorError(f"{place}: {_said(error)}; {remedy}", reason=reason) from error


def _known_errors() -> tuple[type[BaseException], ...]:
    """What gpiozero, lgpio, RPi.GPIO and spidev raise, as far as they are loaded."""
    loaded = {("gpiozero", "GPIOZeroError"), ("lgpio", "error")}
    theirs = [getattr(sys.modules.get(module), name, None) for module, name in loaded]
    # AttributeError: an lgpio that is too new for 1.6.2. Warning: the fallbacks.
    ours = (AttributeError, ImportError, OSError, RuntimeError, ValueError, Warning)
    return (*filter(None, theirs), *ours)


def _said(error: BaseException) -> str:
    # lgpio quotes its sentences.
    return re.sub(r"^'(.*)'$", r"\1", str(error)) or type(error).__name__


def _diagnosis(error: BaseException) -> tuple[str, str]:
    """A word for programs, and what to do."""
    if isinstance(error, ModuleNotFoundError):
        return "library", f"sudo apt install {_PACKAGES_OF.get(error.name or '', _PACKAGES)}"
    # What gpiozero falls back from; 1.6.2 does even from a pin that is in use.
    if isinstance(error, Warning) and type(error.__context__).__name__ == "GPIOPinInUse":
        return _REMEDIES["GPIOPinInUse"]
    if isinstance(error, Warning) and "import spidev" in str(error):
        return "library", f"sudo apt install {_PACKAGES_OF['spidev']}"
    for kind in type(error).__mro__:
        if kind.__name__ in _REMEDIES:
            return _REMEDIES[kind.__name__]
    return _by_its_words(str(error))


def _by_its_words(said: str) -> tuple[str, str]:
    """The same for libraries that have one kind of error for everything."""
    if "busy" in said:
        return "in_use", "another program holds it; gpioinfo shows which"
    if "can not open gpiochip" in said and not any(_DEV.glob("gpiochip*")):
        return "absent", "this machine has no GPIO, or the service may not see /dev/gpiochip0"
    if "can not open gpiochip" in said:
        return _REMEDIES["PermissionError"]
    return "failed", "look at dmesg, and whether another program uses the pin"


_PACKAGES_OF = {"pkg_resources": "python3-pkg-resources", "spidev": "python3-spidev"}
_REMEDIES = {
    "PinFactoryFallback": ("library", f"sudo apt install {_PACKAGES}"),
    "GPIOPinInUse": ("in_use", "give each sensor its own pin"),
    "PinFixedPull": ("pull", "the board has a resistor there; use `pull: up`, or another pin"),
    "PinUnknownPi": ("board", "gpiozero knows Raspberry Pi boards only, and needs /proc to ask"),
    "SPISoftwareFallback": (
        "spi",
        "switch SPI on (sudo raspi-config nonint do_spi 0); the service's user needs the group spi",
    ),
    "BadPinFactory": (
        "library",
        "remove GPIOZERO_PIN_FACTORY from /etc/default/pyvorin-agent, or correct it",
    ),
    "ImportError": ("library", f"sudo apt install {_PACKAGES}"),
    "PermissionError": (
        "permission",
        "the service's user needs the group gpio: sudo usermod -aG gpio pyvorin, and a restart",
    ),
    "FileNotFoundError": (
        "library",
        "lgpio cannot write where LG_WD says; name a directory of the service's user there",
    ),
    "AttributeError": (
        "library",
        f"gpiozero and the library below it do not fit; update both: sudo apt install {_PACKAGES}",
    ),
}


def _drop(at: float, closed: bool) -> None:  # noqa: FBT001  # as `Input` calls it
    """Who listens when nobody does any more."""
