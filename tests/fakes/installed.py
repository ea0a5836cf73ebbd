"""The package on a machine: installed, configured, watched."""

from __future__ import annotations

import json
import shlex
import textwrap
from pathlib import Path
from typing import Any

from fakes.reached import Reached

CONFIG = "/etc/pyvorin/agent.yaml"
STATE = "/var/lib/pyvorin"
RECEIVER = "http://127.0.0.1:8089/v1/ingest"
_DEB = "/root/pyvorin-agent.deb"
_INSTALLED = "\"$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' pyvorin-agent 2>/dev/null)\""
_DROP_IN = "/etc/systemd/system/pyvorin-agent.service.d/test.conf"
_RECEIVED = "/root/received.db"

#: Quick enough for a test, slow enough to be watched.
UPLOAD = f"""
upload:
  endpoint: {RECEIVER}
  auth: none
  interval: 1s
  retry_delay: 500ms
  max_retry_delay: 2s
  timeout: 5s
  connect_timeout: 2s
"""
SENSORS = """
sensors:
  - {name: pi, type: system, interval: 500ms}
  - {name: fridge, type: simulated, interval: 100ms, seed: 1, noise: 0.1}
"""


_SHOW = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        open("/root/headers", "w").write(self.headers["Authorization"] or "none")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

HTTPServer(("127.0.0.1", 8089), Handler).serve_forever()
"""


_LIST = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(json.dumps(db.execute("SELECT queue_id, id FROM items ORDER BY arrival").fetchall()))
"""


class Installed:
    """What a user does with the package, and what a test looks at."""

    def __init__(self, machine: Reached, package: Path) -> None:
        self.machine = machine
        self.run = machine.run
        machine.take(package, _DEB)

    # -- the package ---------------------------------------------------------------------------

    def install(self, deb: str = _DEB) -> str:
        """As the README says; apt finds what it depends on."""
        return self.run(
            f"DEBIAN_FRONTEND=noninteractive apt-get -y -q --allow-downgrades install {deb}"
        )

    def remove(self) -> str:
        return self.run("apt-get -y -q remove pyvorin-agent")

    def purge(self) -> str:
        """As if it had never been there."""
        said = self.run("apt-get -y -q purge pyvorin-agent", status=None)
        self._forget()
        return said

    def start_over(self) -> None:
        """Installed, with the shipped configuration, an empty queue and an empty journal."""
        is_there = f'test {_INSTALLED} = "ii $(dpkg-deb -f {_DEB} Version)"'
        if "no" in self.run(f"{is_there} || echo no"):
            self.install()
        self.run("systemctl stop pyvorin-agent receiver", status=None)
        self._forget()
        self.run(f"find {STATE} /run/pyvorin -mindepth 1 -delete", status=None)
        # The conffile as it is in the package, with the owner that dpkg keeps.
        self.run(f"dpkg-deb --fsys-tarfile {_DEB} | tar -xO .{CONFIG} >{CONFIG}")
        self.run(f"chown root:pyvorin {CONFIG} && chmod 0640 {CONFIG}")
        self.run("systemctl daemon-reload; systemctl reset-failed")
        self.run("journalctl --rotate -q; journalctl --vacuum-time=1s -q", status=None)
        self.run("systemctl start pyvorin-agent")

    def _forget(self) -> None:
        """What tests left."""
        self.run(f"rm -rf {Path(_DROP_IN).parent} {_RECEIVED}* /etc/default/pyvorin-agent")
        self.run("systemctl daemon-reload")

    # -- what a user does ----------------------------------------------------------------------

    def configure(self, text: str) -> None:
        """Edit the file in place, as an editor does."""
        self.machine.put(CONFIG, text)

    def drop_in(self, text: str) -> None:
        """`systemctl edit`."""
        self.machine.put(_DROP_IN, textwrap.dedent(text))
        self.run("systemctl daemon-reload")

    def receiver(self) -> None:
        """Start the reference receiver as a service of its own."""
        self.run(
            "systemd-run --quiet --unit=receiver --collect pyvorin-agent receive "
            f"--listen 127.0.0.1:8089 --db {_RECEIVED}"
        )
        self.machine.until(
            lambda: "8089" in self.run("ss -ltn"), "the receiver to listen on its port"
        )

    def receiver_that_shows_headers(self) -> None:
        """One that takes everything, and writes the Authorization it was shown to a file."""
        self.machine.put("/root/headers.py", _SHOW)
        self.run("systemd-run --quiet --unit=receiver --collect python3 /root/headers.py")
        self.machine.until(lambda: "8089" in self.run("ss -ltn"), "the receiver to listen")

    # -- what a test looks at ------------------------------------------------------------------

    def state(self) -> str:
        """``active``, ``failed``."""
        return self.machine.show("ActiveState")[0]

    def pid(self) -> str:
        return self.machine.show("MainPID")[0]

    def said(self, text: str) -> str | None:
        """The first line of the journal that contains ``text``, without what journald adds."""
        lines = self.machine.journal("-o cat").splitlines()
        return next((line for line in lines if text in line), None)

    def wait_for(self, text: str, patience_s: float = 120.0) -> str:
        found = self.machine.until(lambda: self.said(text), f"{text!r} in the journal", patience_s)
        return str(found)

    def status(self) -> dict[str, Any]:
        """`pyvorin-agent status --json`."""
        facts: dict[str, Any] = json.loads(self.run("pyvorin-agent status --json 2>/dev/null"))
        return facts

    def bytes_unread(self) -> int:
        """Of a request that lies at the receiver's socket."""
        sockets = self.run("ss -Htn state established '( sport = 8089 )'").splitlines()
        return max((int(line.split()[0]) for line in sockets), default=0)

    def received(self) -> list[tuple[str, int]]:
        """(queue_id, id) of every reading at the receiver, in order of arrival."""
        said = self.run(f"python3 -c {shlex.quote(_LIST)} {_RECEIVED}")
        return [(queue_id, number) for queue_id, number in json.loads(said)]
