"""Is this machine's time right, and does the agent know it?"""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.cli.doctor.findings import OK, WARN, Case, Finding
from edge_agent.cli.status.text import local

#: Time services: the unit, and the command that shows how it does.
_SERVICES = {
    "chrony": "chronyc tracking",
    "chronyd": "chronyc tracking",
    "ntpsec": "ntpq -p",
    "ntpd": "ntpq -p",
    "systemd-timesyncd": "timedatectl timesync-status",
}


def clock(case: Case) -> Iterator[Finding]:
    """Asked last: a server's certificate can vouch for it."""
    now = local(case.clock.wall())
    if not is_right(case):
        says = (
            f"it says {now}, and nobody has set it since the boot: readings bear clock: unsynced "
            "until somebody does"
        )
        yield Finding("clock", WARN, says, set_clock(case))
    elif case.health.get("clock", "synced") != "synced" and not _learns(case):
        says = (
            f"right: {now}; but the agent cannot see that, and its readings bear clock: unsynced: "
            "it goes by systemd-timesyncd or an https:// endpoint"
        )
        mend = "sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true"
        yield Finding("clock", WARN, says, mend)
    else:
        yield Finding("clock", OK, f"right: {now}")


def _learns(case: Case) -> bool:
    """Whether a server that nobody can play will tell the agent the time."""
    return (case.config.upload.endpoint or "").lower().startswith("https:")


def is_right(case: Case) -> bool:
    """Whether somebody set it since the boot: the agent knows, or the kernel was told."""
    if case.health.get("clock") == "synced" or case.clock.synchronized():
        return True
    return _asked(case, "NTPSynchronized") == "yes"


def set_clock(case: Case) -> str:
    """What brings the time, by the time service that this machine has."""
    said = case.machine.ask(["systemctl", "is-active", *_SERVICES])
    states = dict(zip(_SERVICES, said.splitlines(), strict=False))
    for name, look in _SERVICES.items():
        if states.get(name) == "active":
            return f"`{look}` tells which server is asked; it takes a network"
    return "sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true"


def _asked(case: Case, name: str) -> str:
    return case.machine.ask(["timedatectl", "show", "--property", name, "--value"])
