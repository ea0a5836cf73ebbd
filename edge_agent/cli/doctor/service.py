"""Is the agent a service that starts, stays up and may write its queue?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.cli.doctor.files import hidden
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, real
from edge_agent.cli.status.text import span

UNIT = "pyvorin-agent.service"
PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "NRestarts"),
    *("ExecMainStatus", "Result", "WatchdogUSec", "User", "SupplementaryGroups"),
    *("StateDirectory", "ReadWritePaths", "ProtectSystem", "ProtectHome", "PrivateTmp"),
)
_DROP_INS = "/etc/systemd/system/pyvorin-agent.service.d"
_AGAIN = "sudo systemctl daemon-reload && sudo systemctl restart pyvorin-agent"
#: An agent that was ended so often since somebody last started it has a cause for it.
_MANY_RESTARTS = 3
#: An agent speaks of itself every five seconds; one that has not for so long is stuck.
_SILENT_S = 60.0
_JOURNAL = "sudo journalctl -u pyvorin-agent"
#: Not started at boot. Source: systemctl(1), is-enabled.
_NOT_AT_BOOT = ("disabled", "enabled-runtime", "linked", "linked-runtime")
#: Why a start comes to nothing, by the exit status: ours, then systemd's own.
#:
#: Source: systemd.exec(5), Process Exit Codes.
_EXITS = {
    "78": ("its configuration cannot be used, nor the last good one", "sudo pyvorin-agent check"),
    "203": ("the program that its unit names cannot be run", "systemctl cat pyvorin-agent"),
    "216": ("a group that it is to have is missing", "sudo systemd-sysusers"),
    "217": ("its user is missing", "sudo systemd-sysusers"),
    "226": ("a folder that its unit names is missing", "systemctl cat pyvorin-agent"),
    "243": ("a credential that its unit names is missing", "systemctl cat pyvorin-agent"),
}


def service(case: Case) -> Iterator[Finding]:
    """The unit, its sandbox and both watchdogs; a trial has none of them."""
    if case.installed:
        yield from _unit(case)
    yield from _speaks(case)


def _unit(case: Case) -> Iterator[Finding]:
    unit = case.unit
    loaded = unit.get("LoadState")
    if not unit:
        mend = "see that `systemctl status pyvorin-agent` answers"
        yield Finding("service", WARN, "systemctl tells nothing of the service", mend)
    elif loaded == "not-found":
        mend = "install its package again: `sudo apt install --reinstall ./pyvorin-agent_*_all.deb`"
        yield Finding("service", FAIL, "systemd knows no pyvorin-agent.service", mend)
    elif loaded not in ("loaded", "masked"):
        says = f"systemd cannot use its unit: {loaded}"
        yield Finding("service", FAIL, says, "systemd-analyze verify pyvorin-agent.service")
    else:
        yield from _starts(unit)
        yield from _sandbox(case)
        yield from _last_run(case)
        yield from _watchdogs(case)


def _starts(unit: Mapping[str, str]) -> Iterator[Finding]:
    at_boot = unit.get("UnitFileState", "")
    if at_boot.startswith("masked"):
        mend = "sudo systemctl unmask pyvorin-agent && sudo systemctl enable --now pyvorin-agent"
        yield Finding("service", FAIL, "it is masked, so nothing can start it", mend)
        return
    if at_boot in _NOT_AT_BOOT:
        mend = "sudo systemctl enable pyvorin-agent"
        yield Finding("service", FAIL, "it is disabled: it does not start at boot", mend)
    found = _runs(unit)
    if found.level != OK or at_boot not in _NOT_AT_BOOT:
        yield found
    if unit.get("NeedDaemonReload") == "yes":
        yield Finding("service", WARN, "its unit was changed, and systemd has the old one", _AGAIN)


def _runs(unit: Mapping[str, str]) -> Finding:
    state, sub = unit.get("ActiveState", "unknown"), unit.get("SubState", "")
    text = unit.get("NRestarts", "")
    restarts = int(text) if text.isdecimal() else 0
    if state in ("active", "reloading") and restarts >= _MANY_RESTARTS:
        says = f"it is running, and had to be restarted {restarts} times since it was last started"
        return Finding("service", WARN, says, f"`{_JOURNAL} -p warning` says why")
    if state in ("active", "reloading"):
        return Finding("service", OK, "it is running, and starts at boot")
    if state == "activating" and sub != "auto-restart":
        return Finding("service", OK, "it is starting")
    if state == "inactive" and unit.get("Result", "success") == "success":
        says = "it is not running: it was stopped, or not started yet"
        return Finding("service", FAIL, says, "sudo systemctl start pyvorin-agent")
    status = unit.get("ExecMainStatus", "")
    why, look = _EXITS.get(status, (f"it ended with status {status or 'unknown'}", ""))
    mend = (
        f"`{look or f'{_JOURNAL} -n 30'}` tells more; then `sudo systemctl restart pyvorin-agent`"
    )
    return Finding("service", FAIL, f"it is not running: {why}", mend)


def _sandbox(case: Case) -> Iterator[Finding]:
    """What the service may write to is less than what its user may."""
    folder, unit = case.queue_path.parent, case.unit
    if hidden(case, folder):
        says = f"the service does not see {folder}, where queue.path is: its sandbox hides it"
        mend = f"set queue.path to a folder elsewhere: `{case.edit}`"
        yield Finding("sandbox", FAIL, says, mend)
        return
    if unit.get("ProtectSystem") != "strict" or _may_write(unit, {folder, real(folder)}):
        return
    make = f"sudo install -d -m 0750 -o {case.user} -g {case.user} {shlex.quote(str(folder))} && "
    line = f'[Service]\\nReadWritePaths="{folder}"\\n'
    says = f"the service may not write to {folder}, where queue.path is: its sandbox"
    # systemd starts nothing that is to write to a folder which is not there.
    mend = ("" if case.machine.there(folder) else make) + _drop_in("queue", line)
    yield Finding("sandbox", FAIL, says, mend)


def _may_write(unit: Mapping[str, str], places: set[Path]) -> bool:
    """Whether the unit opens one of these folders, or one above it."""
    above = {path for place in places for path in (place, *place.parents)}
    states = [Path("/var/lib", name) for name in unit.get("StateDirectory", "").split()]
    written = unit.get("ReadWritePaths", "")
    paths = [*states, *(Path(word.lstrip("-+")) for word in written.split())]
    # systemd puts no quotes around a path with a space in it.
    spaced = (path for path in above if " " in str(path))
    opened = {real(path) for path in paths if path.is_absolute()}
    return bool(above & opened) or any(str(path) in written for path in spaced)


def _drop_in(name: str, text: str) -> str:
    """The command that adds something to the unit; the last file by name goes before others."""
    write = f"printf {shlex.quote(text)} | sudo tee {_DROP_INS}/zz-{name}.conf"
    return f"sudo mkdir -p {_DROP_INS} && {write} && {_AGAIN}"


def _last_run(case: Case) -> Iterator[Finding]:
    last: Mapping[str, Any] = (case.status or {}).get("last_run") or {}
    if last.get("ended") == "watchdog":
        says = f"the last run was ended by the watchdog: {last.get('reason')}"
        yield Finding("last run", WARN, says, f"{_JOURNAL} -p warning")
    elif last.get("ended") == "killed":
        says = "the last run was killed, or crashed"
        yield Finding("last run", WARN, says, f"{_JOURNAL} -p warning")


def _speaks(case: Case) -> Iterator[Finding]:
    """An agent that hangs says nothing of itself any more."""
    silent_s = case.machine.clock.wall() - (case.running or {}).get("at", float("inf"))
    if silent_s > _SILENT_S:
        says = f"it has said nothing of itself for {span(silent_s)}: it hangs, or its disk does"
        yield Finding("service", WARN, says, case.restart)


def _watchdogs(case: Case) -> Iterator[Finding]:
    own = case.unit.get("WatchdogUSec", "infinity")
    if own in ("0", "infinity"):
        says = "the service's own is off: an agent that is stuck stays stuck"
        mend = _drop_in("watchdog", "[Service]\\nWatchdogSec=60s\\n")
        yield Finding("watchdog", WARN, says, mend)
        return
    machine = case.machine
    says = f"the agent is restarted when it is stuck for {own}"
    if not (machine.root / "dev/watchdog").exists():
        yield Finding("watchdog", OK, f"{says}; this machine has no watchdog of its own")
        return
    whole = machine.properties("RuntimeWatchdogUSec").get("RuntimeWatchdogUSec", "")
    if whole not in ("", "0", "infinity"):
        yield Finding("watchdog", OK, f"{says}, the machine when the kernel is for {whole}")
    elif machine.text("sys/class/watchdog/watchdog0/state") == "active":
        yield Finding("watchdog", OK, f"{says}, the machine when the kernel is")
    else:
        mend = (
            "sudo mkdir -p /etc/systemd/system.conf.d && "
            "printf '[Manager]\\nRuntimeWatchdogSec=15s\\n' | "
            "sudo tee /etc/systemd/system.conf.d/watchdog.conf && sudo systemctl daemon-reexec"
        )
        says += "; the machine's own watchdog is off, so a kernel that hangs stays so"
        yield Finding("watchdog", WARN, says, mend)
