"""Install, remove, purge: what apt does on a machine, and what it leaves there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fakes.installed import CONFIG, SENSORS, STATE, Installed

ROOT = Path(__file__).parents[2]
#: What systemd may call the service's exposure at the most.
MOST_EXPOSED = 1.5
#: Path, mode, owner and group.
PLACES = f"""
/etc/pyvorin 755 root:root
/etc/pyvorin/agent.d 755 root:root
{CONFIG} 640 root:pyvorin
{STATE} 750 pyvorin:pyvorin
{STATE}/sync_queue.db 600 pyvorin:pyvorin
/run/pyvorin 755 pyvorin:pyvorin
/run/pyvorin/status.json 644 pyvorin:pyvorin
/run/pyvorin/metrics.prom 644 pyvorin:pyvorin
/usr/bin/pyvorin-agent 755 root:root
"""


def test_package_installed_by_apt_is_running_enabled_and_ready(bare: Installed) -> None:
    """On a machine without a network and without a sensor, and apt finds all it depends on."""
    print(bare.install())
    machine = bare.machine
    assert machine.show("ActiveState", "SubState", "UnitFileState", "NRestarts") == (
        "active",
        "running",
        "enabled",
        "0",
    )
    bare.wait_for("ready")
    assert bare.status()["running"] is True
    machine.until(lambda: bare.status()["ledger"]["enqueued"], "a first reading in the queue")
    bare.wait_for("store_only")
    assert "sensor_faulty" not in machine.journal()
    # Nobody listens for returning links in vain: the sandbox lets netlink through.
    assert bare.said("routes_unheard") is None


def test_package_places_have_the_modes_and_owners_they_should(agent: Installed) -> None:
    """Secrets for the service alone, the status for everybody."""
    agent.wait_for("ready")
    places = [line.rsplit(" ", 2) for line in PLACES.split("\n") if line]
    names = " ".join(place for place, *_ in places)
    agent.machine.until(
        lambda: "No such file" not in agent.run(f"ls -d {names}", status=None), "all places"
    )
    assert agent.run(f"stat -c '%n %a %U:%G' {names}") == PLACES.lstrip()


def test_package_service_is_sandboxed(agent: Installed, tell: Callable[[str], None]) -> None:
    """systemd's own judgement of it, and its opinion of the unit's syntax."""
    said = agent.run("systemd-analyze security --no-pager pyvorin-agent.service")
    exposure = float(re.findall(r"exposure level for \S+: ([0-9.]+)", said)[0])
    tell(said.splitlines()[-1].strip("→ "))
    assert exposure <= MOST_EXPOSED
    unit = agent.run("systemctl show -p FragmentPath --value pyvorin-agent").strip()
    assert agent.run(f"systemd-analyze verify {unit} 2>&1") == ""


def test_package_removed_keeps_the_data_and_installed_again_goes_on(agent: Installed) -> None:
    """A person who removes it may want it back."""
    agent.configure(SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.machine.until(lambda: agent.status()["queue"]["depth"] > 20, "readings in the queue")
    print(agent.remove())
    assert agent.run("systemctl is-active pyvorin-agent", status=None).strip() != "active"
    assert agent.run(f"cat {CONFIG}") == SENSORS
    agent.run(f"test -s {STATE}/sync_queue.db")
    agent.install()
    ledger = agent.status()["ledger"]
    assert ledger["queued"] == ledger["enqueued"] > 20
    assert agent.said("previous_run ended=stopped")


def test_package_purged_leaves_nothing_but_its_user(agent: Installed) -> None:
    """Nor a queue, nor a key, nor a log of its own."""
    before = _traces(agent)
    assert any(STATE in trace for trace in before)
    print(agent.run("apt-get -y -q purge pyvorin-agent"))
    assert _traces(agent) == []
    assert "pyvorin:" in agent.run("getent passwd pyvorin")
    assert agent.run("systemctl list-units --all --no-legend 'pyvorin*'") == ""


def test_package_commands_work_from_where_it_is_installed(agent: Installed) -> None:
    """The whole job on this machine, a configuration checked, the manual read."""
    said = agent.run("pyvorin-agent demo --seconds 8 --outage 3 2>&1")
    print(said)
    assert "lost 0" in re.sub(r"\s+", " ", said)
    assert "no problems" in agent.run("pyvorin-agent check 2>&1")
    assert "fridge_and_door.yaml" in agent.run("ls /usr/share/doc/pyvorin-agent/examples")
    agent.run("python3 -m edge_agent --version")
    agent.run("test -s /usr/share/man/man1/pyvorin-agent.1.gz")


def test_package_passes_its_own_autopkgtest(agent: Installed) -> None:
    """What Debian's machines would run of it."""
    agent.machine.take(ROOT / "debian/tests/smoke", "/root/smoke")
    print(agent.run("sh /root/smoke"))


def _traces(agent: Installed) -> list[str]:
    """Files and folders that bear its name, but for what dpkg, apt and the test keep."""
    others = "-path /proc -o -path /sys -o -path /root -o -path /var/cache/apt -o -path /tmp"
    found = agent.run(rf"find / \( {others} \) -prune -o -name '*pyvorin*' -print").split()
    own = ("/sys/", "/var/lib/systemd/deb-systemd", "/run/credentials")
    return [path for path in found if not path.startswith(own)]
