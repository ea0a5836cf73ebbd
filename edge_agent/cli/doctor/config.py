"""Is there a configuration, may the service read it, and does the agent go by it?"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_agent.cli.common import last_good_path, last_good_to_look
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding
from edge_agent.cli.environment import CONFIG_FILE, environment_of
from edge_agent.config.loader import Loaded, load
from edge_agent.config.model import Config
from edge_agent.errors import ConfigError

_RELOAD = "sudo systemctl reload-or-restart pyvorin-agent"


class Configured(NamedTuple):
    """What there is to go by, and what is to be said of it."""

    findings: tuple[Finding, ...]
    #: None: nothing can be gone by
    config: Config | None = None
    #: what was read; None: the file has a mistake
    loaded: Loaded | None = None


def configured(file: Path) -> Configured:
    """Read the configuration or, where it has a mistake, the last good one.

    Args:
        file: the main file.
    """
    environ = environment_of(file)
    try:
        loaded = load(file, environ)
        found = Finding("configuration", OK, f"{file} has no mistake")
        return Configured((found,), loaded.config, loaded)
    except ConfigError as error:
        refused = _refused(file, error)
    copy = last_good_to_look(file, environ)
    if copy is None:
        return Configured((refused,))
    try:
        config = load(copy, environ).config
    except ConfigError as error:
        says = f"the last good one cannot be used either: {error.problems[0]}"
        return Configured((refused, Finding("configuration", FAIL, says, refused.mend)))
    says = f"the agent goes by the last good one, {copy}; so does what follows"
    return Configured(
        (refused, Finding("configuration", WARN, says, f"once it is mended: `{_RELOAD}`")), config
    )


def _refused(file: Path, error: ConfigError) -> Finding:
    first, more = str(error.problems[0]), len(error.problems) - 1
    says = f"{first}{f' (and {more} more)' if more else ''}"
    name, trial = shlex.quote(str(file)), file.absolute() != CONFIG_FILE
    of = f" --config {name}" if trial else ""
    check = f"{'' if trial else 'sudo '}pyvorin-agent check{of}"
    mend = f"`{check}` names every mistake, with its file and line"
    if os.strerror(errno.EACCES) in says and os.geteuid():
        mend = f"sudo pyvorin-agent doctor{of}"
    return Finding("configuration", FAIL, says, mend)


def used(case: Case, loaded: Loaded | None) -> Iterator[Finding]:
    """Whether the service may read what root could, and whether it has.

    Args:
        case: with the eyes of the service's user.
        loaded: what root read; None: it has a mistake, which is told already.
    """
    if not case.installed or loaded is None:
        return
    closed = [_closed(case, path, mode) for path, mode in _needed(case, loaded)]
    yield from filter(None, closed)
    if any(closed) or not case.running:
        return
    if case.health.get("config") == "last_good" or _differs(case, loaded):
        says = f"the agent runs by what was in {case.config_file} before it was changed"
        yield Finding("configuration", WARN, says, _RELOAD)


def _needed(case: Case, loaded: Loaded) -> Iterator[tuple[Path, int]]:
    """Folders before what is in them: of two that are closed, the first is the one to open."""
    yield case.config_file.parent, os.X_OK
    fragments = case.config_file.with_suffix(".d")
    if case.machine.may(fragments, os.F_OK):
        yield fragments, os.R_OK | os.X_OK
    yield from ((file, os.R_OK) for file in loaded.files)


def _closed(case: Case, path: Path, mode: int) -> Finding | None:
    """A path that the service may not use, and has to."""
    if case.machine.may(path, mode) or not case.machine.may(path.parent, os.X_OK):
        return None
    says = f"the service's user, {case.user}, may not read {path}, so it does not count at a start"
    bits = "0640" if mode == os.R_OK else "0750"
    name = shlex.quote(str(path))
    mend = f"sudo chown root:{case.user} {name} && sudo chmod {bits} {name} && {_RELOAD}"
    return Finding("configuration", FAIL, says, mend)


def _differs(case: Case, loaded: Loaded) -> bool:
    """Whether the copy that the agent makes of what it goes by is of something else."""
    copy = last_good_path(case.config_file, os.environ)
    try:
        return copy is not None and copy.read_text("utf-8") != loaded.text_for_last_good
    except (OSError, UnicodeDecodeError):
        return False
