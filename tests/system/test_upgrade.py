"""An upgrade from the package before, and back: the queue goes on, under load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fakes.installed import SENSORS, STATE, UPLOAD, Installed

_FORMER = "/root/former.deb"
ROWS = 10_000
#: Readings that were taken while nothing could be sent.
_FILL = f"""
import time
from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.types import Submission

with CloudSyncQueue("{STATE}/sync_queue.db") as queue:
    for start in range(0, {ROWS}, 1000):
        queue.enqueue_many(
            [
                Submission(
                    {{"sensor_name": "old", "timestamp": time.time(), "value": start + n,
                      "unit": "count", "metadata": {{}}}},
                    Priority.TELEMETRY,
                    86_400,
                )
                for n in range(1000)
            ]
        )
"""


def test_upgrade_and_downgrade_under_load_lose_nothing_and_send_nothing_twice(
    bare: Installed, tell: Callable[[str], None]
) -> None:
    """10,000 rows of the former version are delivered by this one, and its own by the former."""
    bare.machine.take(Path(os.environ["PYVORIN_FORMER_DEB"]), _FORMER)
    bare.install(_FORMER)
    former = _version(bare)
    bare.run("systemctl stop pyvorin-agent")
    bare.machine.put("/srv/fill.py", _FILL, 0o644)
    bare.run("setpriv --reuid=pyvorin --regid=pyvorin --clear-groups python3 /srv/fill.py")
    bare.receiver()
    # One by one, so that most are still there when the next version comes.
    bare.configure(UPLOAD.replace("interval: 1s", "interval: 1s\n  batch_size: 1") + SENSORS)
    bare.run("systemctl start pyvorin-agent")
    bare.machine.until(lambda: len(bare.received()) > 500, "the first of them at the receiver")

    print(bare.install())
    ours = _version(bare)
    assert ours != former
    assert bare.state() == "active"
    assert bare.status()["ledger"]["queued"] > 0
    before = len(bare.received())
    bare.machine.until(lambda: len(bare.received()) > before + 500, "more of them")

    print(bare.install(_FORMER))
    assert (_version(bare), bare.state()) == (former, "active")
    bare.machine.until(lambda: len(bare.received()) > ROWS, "all of them", patience_s=300)
    bare.run("systemctl stop pyvorin-agent")
    received, ledger = bare.received(), bare.status()["ledger"]
    assert len(received) == len(set(received)) == ledger["delivered"]
    assert ledger["delivered"] + ledger["queued"] == ledger["enqueued"]
    tell(f"from {former} to {ours} and back: {len(received)} readings, none twice")


def test_upgrade_asks_nothing_and_keeps_what_the_user_wrote(bare: Installed) -> None:
    """The conffile is his: no prompt, also where he has changed it."""
    bare.machine.take(Path(os.environ["PYVORIN_FORMER_DEB"]), _FORMER)
    bare.install(_FORMER)
    bare.configure(SENSORS)
    bare.run("chmod 0600 /etc/pyvorin/agent.yaml")
    assert "configuration file" not in bare.install().lower()
    assert bare.run("cat /etc/pyvorin/agent.yaml") == SENSORS
    assert bare.run("stat -c '%a %U:%G' /etc/pyvorin/agent.yaml") == "600 root:pyvorin\n"


def _version(agent: Installed) -> str:
    return agent.run("dpkg-query -W -f '${Version}' pyvorin-agent")
