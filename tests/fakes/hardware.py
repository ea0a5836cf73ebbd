"""A guest on a table: the package on it, chips on its wires, and a receiver beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.receiver import ReceiverStore
from fakes.guest import HOST, Guest
from fakes.installed import Installed
from fakes.processes import Process, Site
from fakes.tiny_usb import Adapter

AIR, PLATE = 0x44, 0x48
#: One that answers raw transfers only, one with registers, and one that needs no wire.
SENSORS = f"""
sensors:
  - {{name: air, type: sht3x, address: {AIR}, interval: 500ms}}
  - {{name: plate, type: lm75, address: {PLATE}, interval: 500ms}}
  - {{name: pi, type: system, interval: 2s}}
"""
_UPLOAD = """
upload:
  endpoint: {endpoint}
  allow_insecure_http: true
  auth: none
  interval: 1s
  retry_delay: {retry_delay}
  max_retry_delay: {retry_delay}
  timeout: 10s
  connect_timeout: 5s
"""


class Table:
    """What a test does, and what it looks at."""

    def __init__(
        self,
        guest: Guest,
        adapter: Adapter,
        agent: Installed,
        site: Site,
        tell: Callable[[str], None],
    ) -> None:
        self.guest = guest
        self.adapter = adapter
        self.agent = agent
        self.site = site
        self.tell = tell
        self.port = 0

    def receive(self) -> Process:
        """Start the receiver, at the port that it had before."""
        process, url = self.site.receiver(f"127.0.0.1:{self.port}")
        self.port = int(url.split(":")[2].split("/")[0])
        return process

    def start(self, sensors: str, retry_delay: str = "500ms") -> None:
        """Configure and restart the agent."""
        self.configure(sensors, retry_delay)
        self.guest.run("systemctl restart pyvorin-agent")

    def configure(self, sensors: str, retry_delay: str = "500ms") -> None:
        """Where to send is the receiver's port, whether it listens or not."""
        endpoint = f"http://{HOST}:{self.port}/v1/ingest"
        upload = _UPLOAD.format(endpoint=endpoint, retry_delay=retry_delay)
        self.agent.configure(upload + sensors)

    def received(self, name: str = "") -> list[dict[str, Any]]:
        """The readings at the receiver, of one name or all, in order of arrival."""
        return [data for data in self._items() if name in ("", data["sensor_name"])]

    def wait_received(self, name: str, more_than: int = 0, **metadata: Any) -> dict[str, Any]:
        """The last reading of a name at the receiver, as soon as there are more than so many."""

        def found() -> list[dict[str, Any]]:
            fit = [data for data in self.received(name) if metadata.items() <= _told(data).items()]
            return fit if len(fit) > more_than else []

        what = f"more than {more_than} of {name} {metadata or ''} at the receiver"
        last: dict[str, Any] = self.guest.until(found, what)[-1]
        return last

    def wait_queued(self, more: int) -> None:
        """Until so many more readings are in the queue than there were."""
        before = self.depth()
        self.guest.until(lambda: self.depth() > before + more, f"{more} more readings in the queue")

    def depth(self) -> int:
        """The readings in the queue."""
        return int(self.health()["depth"])

    def health(self) -> dict[str, Any]:
        """What the agent wrote of itself last: the command that asks takes the guest seconds."""
        show = "cat /run/pyvorin/status.json 2>/dev/null"
        said = self.guest.until(lambda: self.guest.run(show, status=None), "the status file")
        health: dict[str, Any] = json.loads(said)["health"]
        return health

    def last(self, name: str) -> Any:
        """The value that came last; None if none came yet."""
        return next((data["value"] for data in reversed(self.received(name))), None)

    def close(self) -> int:
        """Let all be delivered and stop the agent; every reading is at the receiver, once.

        Returns:
            how many there are.
        """
        guest, agent = self.guest, self.agent
        guest.until(lambda: self.depth() < 10, "a short queue")
        guest.run("systemctl stop pyvorin-agent")
        facts = agent.status()["ledger"]
        ids = self._ids()
        print(guest.journal("-o cat -n 200"))
        self.tell(
            f"{len(ids)} readings at the receiver, none twice; booted in {guest.booted_s:.0f} s"
        )
        assert len(ids) == len(set(ids)) == facts["delivered"]
        assert facts["enqueued"] == facts["delivered"] + facts["queued"]
        return len(ids)

    def _items(self) -> Iterator[dict[str, Any]]:
        store = ReceiverStore(self._database)
        try:
            yield from [dict(item.data) for item in store.items()]
        finally:
            store.close()

    def _ids(self) -> list[tuple[str, int]]:
        store = ReceiverStore(self._database)
        try:
            return [(item.queue_id, item.id) for item in store.items()]
        finally:
            store.close()

    @property
    def _database(self) -> Path:
        return self.site.directory / "received.db"


def _told(reading: dict[str, Any]) -> dict[str, Any]:
    return {"value": reading["value"], **reading["metadata"]}
