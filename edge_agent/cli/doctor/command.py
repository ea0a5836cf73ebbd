"""``doctor``: everything that would stop the agent, each with what mends it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pwd
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.cli.common import (
    add_config_option,
    add_example,
    add_json_options,
    become,
    become_owner,
)
from edge_agent.cli.doctor.clock import clock
from edge_agent.cli.doctor.config import configured, used
from edge_agent.cli.doctor.findings import FAIL, LEVELS, WARN, Case, Finding, Machine
from edge_agent.cli.doctor.hardware import hardware
from edge_agent.cli.doctor.queue import queue
from edge_agent.cli.doctor.report import SILENCE_S, Patience, Report
from edge_agent.cli.doctor.service import PROPERTIES, UNIT, service
from edge_agent.cli.environment import CONFIG_FILE
from edge_agent.cli.schema_words import COUNT, TEXT, object_of, or_null, said, whole
from edge_agent.cli.status.command import gather, wants_colours
from edge_agent.clock import SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.assembly import CREDENTIAL, runtime_directory
from edge_agent.errors import StoreError

#: Where systemd has the service's credential, while it runs and before. Source: systemd.exec(5).
_CREDENTIALS = (
    *("/run/credentials/pyvorin-agent.service", "/etc/credstore"),
    *("/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore"),
)

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
    # Python sees a Ctrl-C between two steps only, and a dead disk may keep it in one.
    heeded = signal.signal(signal.SIGINT, signal.SIG_DFL)
    report = Report(as_json=args.json, colours=wants_colours())
    patience = Patience(report, SILENCE_S)
    try:
        for finding in examine(args.config, Machine(SystemClock())):
            patience.renew()
            report.tell(finding)
    finally:
        patience.stop()
        signal.signal(signal.SIGINT, heeded)
    return report.end()


def examine(config_file: Path, machine: Machine) -> Iterator[Finding]:
    """Look at everything; run as root, by the eyes of the service's user, or the queue's owner.

    Args:
        config_file: the main file of the configuration.
        machine: where it runs.
    """
    # The largest import of all is spared every other command.
    from edge_agent.cli.doctor.server import server  # noqa: PLC0415

    findings, config, loaded = configured(config_file)
    yield from findings
    if config is None:
        return
    installed = config_file.absolute() == CONFIG_FILE
    # Only root may read it where it lies.
    if handed := _credential() if installed else "":
        upload = dataclasses.replace(config.upload, api_key=handed, api_key_file=None)
        config = dataclasses.replace(config, upload=upload)
    known = PROPERTIES if installed else ()
    unit = machine.properties(*known, unit=UNIT) if known else {}
    path = Path(config.queue.path)
    if strange := _become(unit, path):
        yield strange
    status, trouble = _status(path)
    case = Case(
        *(machine, config, config_file.absolute(), installed, _own_name(), status),
        handed_key=bool(handed),
        unit=unit,
        files=loaded.files if loaded else (),
        trouble=trouble,
    )
    yield from used(case, loaded)
    yield from service(case)
    yield from hardware(case)
    yield from queue(case)
    yield from server(case)
    yield from clock(case)


def _become(unit: Mapping[str, str], path: Path) -> Finding | None:
    """See what the agent sees; and what keeps us from that."""
    name = unit.get("User", "")
    if not name:
        become_owner(path if os.access(path, os.F_OK) else path.parent)
        return None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        says = f"there is no user {name}, as whom the service is to run"
        made = "`sudo systemd-sysusers` makes pyvorin"
        return Finding(
            "service", FAIL, says, f"{made}; `systemctl cat pyvorin-agent` names another"
        )
    if os.geteuid() == 0:
        become(user.pw_uid, user.pw_gid, unit.get("SupplementaryGroups", "").split())
    elif os.geteuid() != user.pw_uid:
        says = f"what follows is what {_own_name()} may do, and the service runs as {name}"
        return Finding("service", WARN, says, "sudo pyvorin-agent doctor")
    return None


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _credential() -> str:
    """The key that systemd hands over; empty where there is none, or not for us to see."""
    for folder in _CREDENTIALS:
        try:
            return Path(folder, CREDENTIAL).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def _status(path: Path) -> tuple[dict[str, Any] | None, str]:
    """What `status` knows, and what keeps it from knowing."""
    if not os.access(path, os.R_OK | os.W_OK):
        return None, ""
    try:
        with CloudSyncQueue(path) as opened:
            return gather(opened, runtime_directory(path, os.environ), SystemClock()), ""
    except StoreError as error:
        return None, str(error)
