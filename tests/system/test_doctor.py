"""`doctor` on a real machine: well, and with eleven things wrong at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.installed import CONFIG, SENSORS, STATE, UPLOAD, Installed

KEY = "/etc/pyvorin/api_key"
WRONG = f"""
upload: {{endpoint: "https://ingest.invalid/v1", api_key_file: {KEY}}}
sensors:
  - {{name: pi, type: system}}
  - {{name: fridge, type: bme280, bus: 1, address: 0x76}}
  - {{name: door, type: contact, pin: 17}}
  - {{name: freezer, type: w1}}
"""
#: One line of a shell each.
BREAK = f"""
systemctl stop pyvorin-agent
find {STATE} -mindepth 1 -delete
mount -t tmpfs -o size=64m,uid=pyvorin,gid=pyvorin,mode=0750 tmpfs {STATE}
install -m 0600 /dev/null {KEY} && echo k3y >{KEY}
touch /dev/gpiochip0 && chgrp gpio /dev/gpiochip0 && chmod 0660 /dev/gpiochip0
gpasswd -d pyvorin gpio
systemctl disable pyvorin-agent
systemctl start pyvorin-agent
"""
MEND = f"""
systemctl stop pyvorin-agent
umount {STATE} || true
gpasswd -a pyvorin gpio
rm -f {KEY} /dev/gpiochip0
systemctl enable pyvorin-agent
"""
#: Each topic that fails or warns there, with what its line and its remedy must name.
TOPICS = {
    "configuration": ("sensros: is unknown", "pyvorin-agent check"),
    "service": ("does not start at boot", "systemctl enable pyvorin-agent"),
    "watchdog": ("stays stuck", "WatchdogSec=60s"),
    "i2c": ("no /dev/i2c-1", "dtparam=i2c_arm=on"),
    "gpio": ("may not use /dev/gpiochip0", "usermod -aG gpio pyvorin"),
    "sensor": ("freezer: the kernel has no 1-wire bus", "dtoverlay=w1-gpio"),
    "queue": ("lies in memory (tmpfs)", "queue.path"),
    "room": ("queue.min_free_disk wants 105 MB", "apt clean"),
    "key": (f"pyvorin cannot read {KEY}", f"chown root:pyvorin {KEY}"),
    "dns": ("ingest.invalid cannot be looked up", "getent hosts"),
    "clock": ("nobody has set it since the boot", "timedatectl"),
}


@pytest.fixture
def broken(agent: Installed) -> Iterator[Installed]:
    """A machine with all of that wrong, and mended again afterwards."""
    agent.configure(WRONG)
    agent.drop_in("[Service]\nWatchdogSec=0\n")
    for line in BREAK.strip().splitlines():
        agent.run(line)
    agent.wait_for("ready")
    agent.configure(f"{WRONG}sensros: []\n")
    yield agent
    for line in MEND.strip().splitlines():
        agent.run(line, status=None)


def findings(agent: Installed, status: int) -> dict[str, dict[str, Any]]:
    """What fails or warns, the worst of each topic."""
    told = json.loads(agent.run("pyvorin-agent doctor --json 2>/dev/null", status=status))
    ranked = sorted(told["findings"], key=lambda one: ["ok", "warn", "fail"].index(one["level"]))
    return {one["topic"]: one for one in ranked if one["level"] != "ok"}


def test_doctor_on_a_machine_that_is_well_finds_the_clock_alone(agent: Installed) -> None:
    """Which no container can set; and leaves nothing of root's behind."""
    agent.receiver()
    agent.configure(UPLOAD + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.machine.until(lambda: agent.status()["agent"], "the status")
    assert set(findings(agent, 0)) <= {"clock", "last run"}
    assert agent.run(f"find {STATE} -user root") == ""
    print(agent.run("pyvorin-agent doctor"))


def test_doctor_names_eleven_things_that_are_wrong_and_what_mends_them(broken: Installed) -> None:
    """All of them at once; then what it says is done, and those are well."""
    broken.machine.until(
        lambda: broken.status()["agent"]["sensors"]["freezer"]["faults"], "the fault of a sensor"
    )
    print(broken.run("pyvorin-agent doctor", status=1))
    found = findings(broken, 1)
    for topic, (says, mend) in TOPICS.items():
        assert says in found[topic]["says"], found[topic]
        assert mend in found[topic]["mend"], found[topic]
    assert set(found) == set(TOPICS)
    for topic in ("service", "gpio", "key", "watchdog"):
        broken.run(found[topic]["mend"].replace("sudo ", ""))
    broken.configure(WRONG)
    broken.run("systemctl reload pyvorin-agent")
    left = set(TOPICS) - {"configuration", "service", "gpio", "key", "watchdog"}
    # Nobody can read a pin from a file.
    assert set(findings(broken, 1)) - {"last run"} == left


ROOTS = f"""
chown root:root {CONFIG} && chmod 0600 {CONFIG}
systemctl stop pyvorin-agent
chown -R root:root {STATE} && chmod 0700 {STATE}
"""


def test_doctor_sees_what_root_alone_may_read_and_its_remedies_give_it_back(
    agent: Installed,
) -> None:
    """A file that an editor replaced, a state that a backup restored: root sees nothing wrong."""
    agent.configure(SENSORS)
    for line in ROOTS.strip().splitlines():
        agent.run(line)
    found = findings(agent, 1)
    print(agent.run("pyvorin-agent doctor", status=1))
    assert f"may not read {CONFIG}" in found["configuration"]["says"]
    assert f"{STATE} cannot be written by pyvorin" in found["queue"]["says"]
    assert "it was stopped" in found["service"]["says"]
    for topic in ("queue", "configuration", "service"):
        agent.run(found[topic]["mend"].replace("sudo ", ""))
    agent.machine.until(lambda: agent.status()["agent"], "the status")
    assert set(findings(agent, 0)) <= {"clock", "last run"}


def test_doctor_mends_a_queue_that_the_sandbox_keeps_away(agent: Installed) -> None:
    """One line to paste makes the folder and lets the service write there."""
    agent.configure(f"queue: {{path: /srv/cold chain/pyvorin/q.db}}\n{SENSORS}")
    found = findings(agent, 1)
    assert "may not write to /srv/cold chain/pyvorin" in found["sandbox"]["says"]
    agent.run(found["sandbox"]["mend"].replace("sudo ", ""))
    agent.machine.until(lambda: agent.status()["agent"], "the status")
    assert set(findings(agent, 0)) <= {"clock", "last run"}
    agent.run("systemctl stop pyvorin-agent; rm -r '/srv/cold chain'")


@pytest.mark.parametrize(
    ("line", "says", "mend"),
    [
        ("ReadWritePaths=/nowhere", "a folder that its unit names is missing", "systemctl cat"),
        ("User=nobody-here", "there is no user nobody-here", "systemd-sysusers"),
        (
            "ExecStart=\nExecStart=/usr/bin/nothing",
            "program that its unit names cannot be run",
            "cat",
        ),
        ("ExecStart=\nExecStart=/bin/false", "it ended with status 1", "journalctl"),
    ],
)
def test_doctor_says_why_systemd_cannot_start_it(
    agent: Installed, line: str, says: str, mend: str
) -> None:
    """By systemd's own exit codes, whichever of its tries this is."""
    agent.run("systemctl stop pyvorin-agent")
    agent.drop_in(f"[Service]\n{line}\n")
    agent.run("systemctl start pyvorin-agent", status=None)
    told = agent.run("pyvorin-agent doctor --json 2>/dev/null", status=1)
    found = [one for one in json.loads(told)["findings"] if one["topic"] == "service"]
    assert any(says in one["says"] and mend in one["mend"] for one in found), found


def test_doctor_of_a_person_in_the_services_group_says_whose_eyes_these_are(
    agent: Installed,
) -> None:
    """Who may read the configuration may still not use the buses, or the queue."""
    agent.run("id pi 2>/dev/null || useradd pi; gpasswd -a pi pyvorin")
    said = agent.run("runuser -u pi -- pyvorin-agent doctor", status=1)
    assert "what follows is what pi may do, and the service runs as pyvorin" in said
    assert "mend: sudo pyvorin-agent doctor\n" in said


def test_doctor_of_an_ordinary_user_says_who_may_look(agent: Installed) -> None:
    """The configuration may hold a key, so it is not for everybody."""
    said = agent.run("runuser -u nobody -- pyvorin-agent doctor", status=1)
    assert f"{CONFIG}: cannot be read: Permission denied" in said
    assert "mend: sudo pyvorin-agent doctor" in said
    for other in ("status", "sensors read"):
        said = agent.run(f"runuser -u nobody -- pyvorin-agent {other}", status=1)
        assert said == f"pyvorin-agent: {CONFIG}: cannot be read: Permission denied; use sudo\n"
