"""A script of faults: read from YAML, and followed step by step.

What to do to a request depends on the requests before it and on the clock, never on chance: the
same requests draw the same faults.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import voluptuous as vol

from edge_agent.clock import Clock, SystemClock
from edge_agent.config import document
from edge_agent.config.findings import Findings
from edge_agent.config.shape import Items, assemble
from edge_agent.errors import ConfigError
from edge_agent.options import Flag, option
from edge_agent.receiver.actions import ACTIONS, Action, Deaf, Refuse, Step
from edge_agent.receiver.reaction import NORMAL, Asked, Reaction


@dataclasses.dataclass(frozen=True)
class Contents:
    """What may stand in a script."""

    steps: list[Any] = option(Items(), help="What to do, one after the other.")
    repeat: bool = option(Flag(), default=False, help="Begin again after the last step.")


@dataclasses.dataclass(frozen=True)
class Script:
    """Steps with their actions; without any, everything is as the contract says."""

    steps: tuple[tuple[Step, Action], ...] = ()
    repeat: bool = False


def load_script(file: Path) -> Script:
    """Read and check a script.

    Raises:
        ConfigError: every mistake, each in one sentence with its line.
    """
    read = document.read(file, expected="steps are", example="steps: [{do: normal}]")
    findings = Findings(read.data or {}, read.places, read.problems)
    script = Script() if read.data is None else _script(findings)
    if findings.problems:
        raise ConfigError(*map(str, sorted(findings.problems)))
    return script


def _script(findings: Findings) -> Script:
    """What is written; worth nothing if there are findings."""
    repeat = False
    try:
        (contents,) = assemble(findings.data, Contents)
        repeat = contents.repeat
    except vol.MultipleInvalid as invalid:
        findings.report(invalid)
    written = findings.data.get("steps")
    listed = enumerate(written if isinstance(written, list) else [])
    steps = [_step(one, at, findings) for at, one in listed]
    script = Script(tuple(filter(None, steps)), repeat)
    if not findings.problems:
        _check_ends(script, findings)
    return script


def _step(written: Any, at: int, findings: Findings) -> tuple[Step, Action] | None:
    path = ("steps", at)
    name = written.get("do") if isinstance(written, dict) else None
    kind = ACTIONS.get(name) if isinstance(name, str) else None
    try:
        step, *action = assemble(written, Step, *filter(None, [kind]), others=kind is None)
    except vol.MultipleInvalid as invalid:
        findings.report(invalid, path)
        return None
    if kind is None:
        return None
    if not getattr(kind, "about_items", True) and _chooses(step):
        findings.complain(path, f"'{name}' acts before there is a request: it cannot choose items")
    if kind is Refuse and (step.time_s is None or step.requests or step.until_stored):
        findings.complain(path, "'refuse' sees no requests: it needs time, and ends by it alone")
    return step, action[0]


def _chooses(step: Step) -> bool:
    sizes = (step.over_items, step.over_size_bytes)
    return bool(step.where or step.ids or step.gzip) or sizes != (None, None)


def _check_ends(script: Script, findings: Findings) -> None:
    """Complain of a step that would never let the next one begin."""
    last = len(script.steps) - 1
    for at, (step, _) in enumerate(script.steps):
        if not step.ends and (at < last or script.repeat):
            findings.complain(("steps", at), "never ends; give it requests, time or until_stored")
    if not script.steps:
        findings.complain(("steps",), "is empty; write it like '- {do: status, status: 503}'")


@dataclasses.dataclass
class StepCount:
    """How often a step was played."""

    #: counts from 1
    step: int
    do: str
    #: requests, or connections, that it was done to
    done: int = 0
    #: requests that it was not about
    passed: int = 0
    #: items stored while it was the current step
    stored: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Cue:
    """What to do to one request."""

    reaction: Reaction = NORMAL
    #: the step it comes from; None where none had anything to say
    count: StepCount | None = None


class Play:
    """Follows a script. Thread-safe.

    Args:
        script: what to follow.
        clock: for steps that take time, and for dates; the first step begins now.
    """

    def __init__(self, script: Script | None = None, clock: Clock | None = None) -> None:
        self._script = script or Script()
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self.counts = [StepCount(n, step.do) for n, (step, _) in enumerate(self._script.steps, 1)]
        self._at = 0
        self._playing = 0
        self._begin(self._clock.monotonic())

    @contextlib.contextmanager
    def request(self, asked: Asked) -> Iterator[Cue]:
        """What to do to a request, which is being played inside the context."""
        with self._lock:
            cue = self._cue(asked)
            self._playing += 1
        try:
            yield cue
        finally:
            with self._lock:
                self._playing -= 1

    def stored(self, items: int) -> None:
        """Take note of items that were stored."""
        with self._lock:
            if self._at < len(self.counts):
                self.counts[self._at].stored += items
                self._stored += items

    def deaf(self) -> bool:
        """Whether a connection that has just come is not to be listened to; counts it if so."""
        with self._lock:
            self._settle()
            found = isinstance(self._action, Deaf)
            if found:
                self._count_done()
            return found

    def refusing(self) -> bool:
        """Whether the port is to be closed: not before what is being played has ended."""
        with self._lock:
            if self._playing == 0:
                self._settle()
            return isinstance(self._action, Refuse) and self._playing == 0

    def _cue(self, asked: Asked) -> Cue:
        self._settle()
        if self._at == len(self.counts):
            return Cue()
        (step, action), count = self._script.steps[self._at], self.counts[self._at]
        picked = step.picks(asked)
        if picked is None:
            count.passed += 1
            return Cue()
        # Who still comes in while the port is closing does so by chance, and is not counted.
        if not isinstance(action, Refuse):
            self._count_done()
        asked = dataclasses.replace(asked, picked=picked, wall=self._clock.wall())
        return Cue(action.react(asked), count)

    @property
    def _action(self) -> Action | None:
        return self._script.steps[self._at][1] if self._at < len(self.counts) else None

    def _count_done(self) -> None:
        self.counts[self._at].done += 1
        self._done += 1

    def _begin(self, now: float) -> None:
        """The step at `_at` begins."""
        self._began, self._done, self._stored = now, 0, 0

    def _settle(self) -> None:
        """Go on to the step that it is time for."""
        now = self._clock.monotonic()
        while self._at < len(self.counts):
            ended = self._ended(now)
            if ended is None:
                return
            self._at += 1
            if self._at == len(self.counts) and self._script.repeat:
                self._at = 0
            self._begin(ended)

    def _ended(self, now: float) -> float | None:
        """When the current step ended; None while it has not."""
        step = self._script.steps[self._at][0]
        if step.requests is not None and self._done >= step.requests:
            return now
        if step.until_stored is not None and self._stored >= step.until_stored:
            return now
        if step.time_s is not None and now >= self._began + step.time_s:
            # By the script, not by when somebody looked.
            return self._began + step.time_s
        return None
