"""``doctor``: everything that would stop the agent, each with what mends it."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import os
import pwd
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli import doctor_hardware, doctor_queue, doctor_service
from edge_agent.cli.common import (
    add_config_option,
    add_example,
    add_json_options,
    become_owner,
    last_good_to_look,
)
from edge_agent.cli.doctor_findings import FAIL, LEVELS, OK, WARN, Case, Finding, Machine
from edge_agent.cli.environment import CONFIG_FILE, environment_of
from edge_agent.cli.schema_words import COUNT, TEXT, object_of, or_null, said, whole
from edge_agent.cli.status import gather, wants_colours
from edge_agent.cli.status_text import BAD, GOOD, ODD, painted
from edge_agent.cli.table import printable
from edge_agent.clock import SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.daemon.assembly import CREDENTIAL, runtime_directory
from edge_agent.errors import ConfigError, StoreError

#: Where systemd has the service's credential, while it runs and before. Source: systemd.exec(5).
_CREDENTIALS = (
    *("/run/credentials/pyvorin-agent.service", "/etc/credstore"),
    *("/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore"),
)
_TOPIC_WIDTH = 13
_COLOURS = {OK: GOOD, WARN: ODD, FAIL: BAD}

DOCTOR = whole(
    "pyvorin-agent doctor --json",
    findings={
        "type": "array",
        "items": object_of(
            topic=TEXT,
            level={"enum": list(LEVELS)},
            says=said(TEXT, "What is so."),
            mend=or_null("string", "What mends it; null: nothing is wrong."),
        ),
    },
    ok=COUNT,
    warn=COUNT,
    fail=COUNT,
)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor``."""
    parser = commands.add_parser("doctor", help="what would stop it working, and what mends that")
    add_config_option(parser)
    add_example(parser, "doctor")
    add_json_options(parser, DOCTOR)
    parser.set_defaults(run=doctor)


def doctor(args: argparse.Namespace) -> int:
    """Print a line for each thing that was looked at; 0, or 1 if one fails."""
    findings = list(examine(args.config, Machine(SystemClock())))
    counts = {level: sum(one.level == level for one in findings) for level in LEVELS}
    if args.json:
        told = [dataclasses.asdict(one) | {"mend": one.mend or None} for one in findings]
        text = json.dumps({"version": 1, "findings": told} | counts) + "\n"
    else:
        text = text_of(findings, counts, colours=wants_colours())
    sys.stdout.write(text)
    return int(counts[FAIL] > 0)


def examine(config_file: Path, machine: Machine) -> Iterator[Finding]:
    """Look at everything; run as root, by the eyes of the queue's owner.

    Args:
        config_file: the main file of the configuration.
        machine: where it runs.
    """
    # The largest import of all is spared every other command.
    from edge_agent.cli import doctor_server  # noqa: PLC0415

    findings, config = _configured(config_file)
    yield from findings
    if config is None:
        return
    installed = config_file.absolute() == CONFIG_FILE
    # Only root may read it where it lies.
    if handed := _credential() if installed else "":
        upload = dataclasses.replace(config.upload, api_key=handed, api_key_file=None)
        config = dataclasses.replace(config, upload=upload)
    path = Path(config.queue.path)
    become_owner(path if path.exists() else path.parent)
    status, trouble = _status(path)
    if trouble:
        yield trouble
    user = pwd.getpwuid(os.geteuid()).pw_name
    case = Case(machine, config, config_file, installed, user, status, bool(handed))
    yield from doctor_service.service(case)
    yield from doctor_hardware.hardware(case)
    yield from doctor_queue.queue(case)
    yield from doctor_server.server(case)


def _configured(file: Path) -> tuple[list[Finding], Config | None]:
    """What there is to say of the configuration, and the one that the agent goes by."""
    environ = environment_of(file)
    try:
        config = load(file, environ).config
        return [Finding("configuration", OK, f"{file} has no mistake")], config
    except ConfigError as error:
        first, more = str(error.problems[0]), len(error.problems) - 1
    says = f"{first}{f' (and {more} more)' if more else ''}"
    mend = f"pyvorin-agent check --config {file} names every mistake"
    if os.strerror(errno.EACCES) in says:
        mend = "sudo pyvorin-agent doctor, which goes by the service's user then"
    findings = [Finding("configuration", FAIL, says, mend)]
    copy = last_good_to_look(file, environ)
    if copy is None:
        return findings, None
    says = f"the agent goes by the last good one, {copy}; so does what follows"
    mend = "sudo systemctl reload pyvorin-agent, once the file is mended"
    return [*findings, Finding("configuration", WARN, says, mend)], load(copy, environ).config


def _credential() -> str:
    """The key that systemd hands over; empty where there is none, or not for us to see."""
    for folder in _CREDENTIALS:
        try:
            return Path(folder, CREDENTIAL).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def _status(path: Path) -> tuple[dict[str, Any] | None, Finding | None]:
    """What `status` knows, and what keeps it from knowing."""
    if not os.access(path, os.R_OK | os.W_OK):
        return None, None
    try:
        with CloudSyncQueue(path) as queue:
            return gather(queue, runtime_directory(path, os.environ), SystemClock()), None
    except StoreError as error:
        return None, Finding("queue", FAIL, str(error), "sudo pyvorin-agent queue verify")


def text_of(findings: Sequence[Finding], counts: dict[str, int], *, colours: bool) -> str:
    """The lines for a person.

    Args:
        findings: in the order in which they are told.
        counts: how many there are of each level.
        colours: whether to paint the levels.
    """
    lines = [line for finding in findings for line in _lines(finding, colours=colours)]
    told = ", ".join(f"{n} {level}" for level, n in counts.items() if n)
    return "".join(f"{line}\n" for line in (*lines, told))


def _lines(finding: Finding, *, colours: bool) -> Iterator[str]:
    level = f"{finding.level:<5}"
    level = painted(level, _COLOURS[finding.level]) if colours else level
    yield f"{level} {finding.topic:<{_TOPIC_WIDTH}} {printable(finding.says)}"
    if finding.mend:
        yield f"{'':<5} {'':<{_TOPIC_WIDTH}} mend: {printable(finding.mend)}"
