"""Is the agent a service that starts, stays up and may reach its files?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Case, Finding
from edge_agent.config.model import Upload

UNIT = "pyvorin-agent.service"
#: More restarts than a person makes.
_MANY_RESTARTS = 3
#: What the unit's ``ProtectHome=`` and ``PrivateTmp=`` hide (systemd.exec(5)).
_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108  # named, not used
_JOURNAL = "journalctl -u pyvorin-agent -p warning"
_PROPERTIES = (
    *("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "NRestarts"),
    *("WatchdogUSec", "ReadWritePaths", "StateDirectory"),
)


def service(case: Case) -> Iterator[Finding]:
    """The unit, its sandbox and both watchdogs; nothing of a trial, which has none of them."""
    if not case.installed:
        return
    unit = case.machine.properties(*_PROPERTIES, unit=UNIT)
    if unit.get("LoadState", "not-found") == "not-found":
        mend = "sudo apt install --reinstall pyvorin-agent"
        yield Finding("service", FAIL, "systemd knows no pyvorin-agent.service", mend)
        return
    yield from _starts(unit)
    yield from _sandbox(case, unit)
    yield from _last_run(case)
    yield from _watchdogs(case, unit)


def _starts(unit: Mapping[str, str]) -> Iterator[Finding]:
    state, at_boot = unit["ActiveState"], unit["UnitFileState"]
    if at_boot.startswith("masked"):
        mend = "sudo systemctl unmask pyvorin-agent && sudo systemctl enable --now pyvorin-agent"
        yield Finding("service", FAIL, "it is masked, so nothing can start it", mend)
        return
    if at_boot == "disabled":
        mend = "sudo systemctl enable pyvorin-agent"
        yield Finding("service", FAIL, "it is disabled: it does not start at boot", mend)
    if state in ("active", "reloading"):
        restarts = int(unit["NRestarts"] or 0)
        if restarts >= _MANY_RESTARTS:
            says = f"it is running, and was restarted {restarts} times since it was last started"
            yield Finding("service", WARN, says, f"{_JOURNAL} says why")
        elif at_boot != "disabled":
            yield Finding("service", OK, "it is running, and starts at boot")
    else:
        mend = f"sudo systemctl start pyvorin-agent; if it does not stay up, {_JOURNAL} says why"
        yield Finding("service", FAIL, f"it is not running: {state}", mend)
    if unit["NeedDaemonReload"] == "yes":
        mend = "sudo systemctl daemon-reload && sudo systemctl restart pyvorin-agent"
        yield Finding("service", WARN, "its unit was changed, and systemd has the old one", mend)


def _sandbox(case: Case, unit: Mapping[str, str]) -> Iterator[Finding]:
    """What the service may write to and see is less than what its user may."""
    folder = case.queue_path.parent
    states = [Path("/var/lib", name) for name in unit["StateDirectory"].split()]
    written = [Path(path.lstrip("-+")) for path in unit["ReadWritePaths"].split()]
    if not any(folder.is_relative_to(path) for path in (*states, *written)):
        line = shlex.quote(f"[Service]\\nReadWritePaths={folder}\\n")
        where = "/etc/systemd/system/pyvorin-agent.service.d"
        mend = (
            f"sudo mkdir -p {where} && printf {line} | sudo tee {where}/queue.conf && "
            "sudo systemctl daemon-reload && sudo systemctl restart pyvorin-agent"
        )
        says = f"the service may not write to {folder}, where queue.path is: its sandbox"
        yield Finding("sandbox", FAIL, says, mend)
    for key, path in named_files(case.config.upload):
        if any(path.is_relative_to(hidden) for hidden in _HIDDEN):
            target = Path("/etc/pyvorin") / path.name
            copy = f"sudo install -m 0640 -g pyvorin {shlex.quote(str(path))} {target}"
            says = f"upload.{key}: the service does not see {path}: its sandbox hides that folder"
            yield Finding("sandbox", FAIL, says, f"{copy}; then write {target} for upload.{key}")


def named_files(upload: Upload) -> Iterator[tuple[str, Path]]:
    """The files that the configuration names for the way to the server, by their keys."""
    tls = upload.tls
    for key, name in (
        ("api_key_file", upload.api_key_file),
        ("tls.ca_file", tls.ca_file),
        ("tls.client_cert_file", tls.client_cert_file),
        ("tls.client_key_file", tls.client_key_file),
    ):
        if name:
            yield key, Path(name)


def _last_run(case: Case) -> Iterator[Finding]:
    last = case.status["last_run"] if case.status else None
    if last and last["ended"] == "watchdog":
        says = f"the last run was ended by the watchdog: {last['reason']}"
        yield Finding("last run", WARN, says, f"{_JOURNAL} says more")
    elif last and last["ended"] == "killed":
        yield Finding("last run", WARN, "the last run was killed, or crashed", _JOURNAL)


def _watchdogs(case: Case, unit: Mapping[str, str]) -> Iterator[Finding]:
    if unit["WatchdogUSec"] in ("", "0", "infinity"):
        mend = "sudo systemctl revert pyvorin-agent && sudo systemctl restart pyvorin-agent"
        says = "the unit's is off: an agent that is stuck stays stuck"
        yield Finding("watchdog", WARN, says, mend)
        return
    says = f"the agent is restarted when it is stuck for {unit['WatchdogUSec']}"
    if not (case.machine.root / "dev/watchdog").exists():
        yield Finding("watchdog", OK, f"{says}; this machine has no watchdog of its own")
        return
    whole = case.machine.properties("RuntimeWatchdogUSec").get("RuntimeWatchdogUSec", "")
    if whole in ("", "0", "infinity"):
        mend = (
            "sudo mkdir -p /etc/systemd/system.conf.d && "
            "printf '[Manager]\\nRuntimeWatchdogSec=15s\\n' | "
            "sudo tee /etc/systemd/system.conf.d/watchdog.conf && sudo systemctl daemon-reexec"
        )
        says += "; the machine's own watchdog is off, so a kernel that hangs stays so"
        yield Finding("watchdog", WARN, says, mend)
    else:
        yield Finding("watchdog", OK, f"{says}, the machine when the kernel is for {whole}")
