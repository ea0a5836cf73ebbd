"""A contact: a door, a float switch, a leak or motion detector that opens or closes a circuit.

Wiring: between the pin and GND with ``pull: up`` (the usual way: a cut wire reads as open), or
between the pin and 3.3 V with ``pull: down``. Never more than 3.3 V. The Pi's own resistor is
about 50 kOhm; a cable of more than some metres wants 1 to 10 kOhm besides, and ``pull: none``.

A value is 1 for a closed circuit and 0 for an open one, the other way round with ``invert``. A
change is told at once and bears the time of its first edge. It counts once the circuit has stayed
as it is for ``debounce``: a burst of bounces is one change, one that ends where it began is none.

What edges do not tell is found by looking: at every ``interval`` the pin itself is compared with
what was said last. A reading after edges were lost says how many in ``lost_edges``: those there was
no room for, and one for each change that came without any.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.options import Conflict, Duration, Flag, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.sensors.gpio.pins import BUS, Input, pin_option, pull_conflicts, pull_option
from edge_agent.types import Measurement

#: Edges that wait for the reader at the most; the oldest give way and are counted.
MOST_EDGES = 1_024
#: A circuit that has not come to rest for so many seconds is a fault.
UNSTEADY_S = 10.0
# The pin is a moment ahead of its edges: they come by way of the kernel and a thread. A change
# without an edge is believed after this, in seconds.
_LATE_S = 0.05
# Far less than any debounce, far more than the error of adding two times.
_EPSILON_S = 1e-6


@dataclasses.dataclass(frozen=True)
class ContactOptions:
    """Which pin, and what counts as a change."""

    pin: int = pin_option()
    pull: str = pull_option()
    debounce_s: float = option(
        Duration(most=5),
        0.020,
        help="How long the circuit must stay closed or open to count; a change is told that much "
        "later, with the time at which it began.",
    )
    repeat_s: float = option(
        Duration(),
        600.0,
        help="Say the state again after so long without a change, at the next interval; 0s: never.",
    )
    invert: bool = option(
        Flag(), default=False, help="Say 1 for an open circuit and 0 for a closed one."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """The pull that a pin can have."""
        return pull_conflicts(self.pin, self.pull)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """The circuit has closed or opened, and stayed so."""

    #: monotonic seconds of its first edge
    at: float
    closed: bool


class Debounce:
    """Makes changes of edges. A burst is what follows an edge until ``quiet_s`` pass without one.

    Own, and by the edges' times: what gpiozero's libraries call a bounce time means to each of them
    something else.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        #: how the circuit is when it is at rest; None: not known yet
        self.closed: bool | None = None
        self._first = self._newest = 0.0
        self._next: bool | None = None

    @property
    def rests_at(self) -> float | None:
        """Monotonic seconds at which the burst is over if no edge follows; None: there is none."""
        return None if self._next is None else self._newest + self._quiet_s

    def unsteady_s(self, now: float) -> float:
        """How long the burst has lasted."""
        return 0.0 if self._next is None else now - self._first

    def edge(self, at: float, *, closed: bool) -> Change | None:
        """Take the next edge; returns the change that the time before it made certain."""
        change = self.rest(at)
        self._first, self._newest = (
            (at, at) if self._next is None else (self._first, max(at, self._newest))
        )
        self._next = closed
        return change

    def rest(self, now: float) -> Change | None:
        """The change that is certain now, where there is one."""
        if self._next is None or now - self._newest < self._quiet_s - _EPSILON_S:
            return None
        closed, self._next = self._next, None
        if closed == self.closed:
            return None
        self.closed = closed
        # After minutes of flicker nobody can say when it began; when it ended can be said.
        flickered = self._newest - self._first > UNSTEADY_S
        return Change(self._newest if flickered else self._first, closed)


class Contact(Sensor):
    """One contact on one pin."""

    Options = ContactOptions
    channels = (Channel("", ""),)
    bus_name = BUS
    watches = True

    #: certain, and not returned yet
    _changes: list[Change]
    #: when the pin was seen to differ without an edge
    _noticed: float | None
    #: when the state was last returned
    _said_at: float | None
    #: whether edges need not announce themselves: a `read` is bound to come
    _announced: bool
    #: the same for as long as the circuit flickers, which is looked at once an interval
    _hushed: bool

    def __init__(self, options: ContactOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._monotonic = surroundings.monotonic
        self._announce = surroundings.announce
        self._input: Input | None = None
        #: written by the pin library's thread, at its right end only
        self._edges: deque[tuple[float, bool]] = deque(maxlen=MOST_EDGES)
        #: edges that made another one give way; written by that thread only
        self._overflowed = 0
        #: changes that came without an edge, and how much of both has been said
        self._unseen = self._told = 0
        self._forget()

    def trigger(self) -> float:
        """Claim the pin if that was not done yet, and take what edges there are.

        Returns:
            seconds until the newest change is certain; 0.0 where nothing changed.

        Raises:
            SensorError: ``library``, ``in_use``, ``permission``, ``pull``, ``board``, ``absent`` or
                ``failed``, as gpiozero says.
        """
        if self._input is None:
            options = self._options
            self._forget()
            self._input = Input(options.pin, options.pull, self._edge, self._monotonic)
        now = self._monotonic()
        self._take(now)
        waits = (self._debounce.rests_at, self._believed_at)
        return max([0.0, *(at - now for at in waits if at is not None)])

    def read(self) -> Sequence[Measurement]:
        """Every change since the last call, oldest first; the state, where it is due.

        Raises:
            SensorError: ``not_ready``, or the pin cannot be read.
        """
        if self._input is None:
            raise SensorError(
                f"GPIO{self._options.pin}: read before a measurement was started",
                reason="not_ready",
            )
        now = self._monotonic()
        self._take(now)
        self._look(self._input, now)
        changes, self._changes = self._changes, []
        if not changes and self._is_due(now):
            changes = [Change(now, bool(self._debounce.closed))]
        said = [self._measurement(change, now) for change in changes]
        if changes:
            self._said_at = now
        return [*said, *self._unrest(now)]

    def close(self) -> None:
        """Let go of the pin; the next `read` says the state anew."""
        if self._input is not None:
            self._input.close()
        self._input = None

    def _forget(self) -> None:
        """Know nothing of the circuit, as at first."""
        self._edges.clear()
        self._debounce = Debounce(self._options.debounce_s)
        self._changes = []
        self._noticed = self._said_at = None
        self._announced = self._hushed = False

    def _edge(self, at: float, closed: bool) -> None:  # noqa: FBT001  # as `Input` calls it
        """One edge, in the pin library's thread: to be quick, and to wait for nobody."""
        if len(self._edges) == MOST_EDGES:
            self._overflowed += 1
        self._edges.append((at, closed))
        if not self._announced:
            self._announced = True
            self._announce(self)

    def _take(self, now: float) -> None:
        """Make changes of the edges that are there; what comes from now on announces itself."""
        self._announced = self._hushed
        for _ in range(len(self._edges)):
            at, closed = self._edges.popleft()
            # What was seen without an edge had one, or is past.
            self._noticed = None
            self._keep(self._debounce.edge(at, closed=closed))
        self._keep(self._debounce.rest(now))

    def _keep(self, change: Change | None) -> None:
        if change is not None:
            self._changes.append(change)

    @property
    def _believed_at(self) -> float | None:
        """When a change without an edge is believed."""
        if self._noticed is None:
            return None
        return self._noticed + max(self._options.debounce_s, _LATE_S)

    def _look(self, pin: Input, now: float) -> None:
        """Compare the pin with what is known of it, while no edge is under way."""
        if self._debounce.rests_at is not None:
            return
        closed = pin.is_closed()
        if self._edges or closed == self._debounce.closed:
            self._noticed = None
        elif self._debounce.closed is None:
            self._settle_for(closed, now)
        elif self._believed_at is None:
            self._noticed = now
        elif now >= self._believed_at - _EPSILON_S:
            self._unseen += 1
            self._settle_for(closed, now if self._noticed is None else self._noticed)

    def _settle_for(self, closed: bool, at: float) -> None:  # noqa: FBT001  # said by the caller
        self._debounce.closed, self._noticed = closed, None
        self._changes.append(Change(at, closed))

    def _unrest(self, now: float) -> Iterator[Measurement]:
        """Ask to be read again where something is not certain yet; a fault if it never will be."""
        flickers = self._debounce.unsteady_s(now) > UNSTEADY_S
        calms, self._hushed = self._hushed and not flickers, flickers
        if flickers:
            self._announced = True
            yield self._unsteady()
        elif self._debounce.rests_at is not None or self._noticed is not None:
            self._announced = True
            self._announce(self)
        elif calms:
            self._announced = False
            # One that came before that line has told nobody.
            if self._edges:
                self._announce(self)

    def _unsteady(self) -> Measurement:
        detail = (
            f"GPIO{self._options.pin}: neither open nor closed for longer than {UNSTEADY_S:.0f} s; "
            "check the wires, add a resistor of 1 to 10 kOhm, or choose a longer `debounce`"
        )
        return Measurement("", 0, "", fault="unsteady", detail=detail)

    def _is_due(self, now: float) -> bool:
        """Whether the state has to be said again."""
        repeat_s = self._options.repeat_s
        if self._said_at is None or self._debounce.rests_at is not None or not repeat_s:
            return False
        return now - self._said_at >= repeat_s - _EPSILON_S

    def _measurement(self, change: Change, now: float) -> Measurement:
        value = int(change.closed != self._options.invert)
        return Measurement("", value, "", age_s=max(0.0, now - change.at), metadata=self._losses())

    def _losses(self) -> Mapping[str, Any]:
        """How many edges were lost since this was said last."""
        lost = self._overflowed + self._unseen - self._told
        self._told += lost
        return {"lost_edges": lost} if lost else {}
