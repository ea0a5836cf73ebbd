"""nginx in the foreground, with everything it writes in one directory."""

from __future__ import annotations

import contextlib
import getpass
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fakes.processes import until

#: Debian keeps it where only root looks.
_COMMAND = shutil.which("nginx") or "/usr/sbin/nginx"
#: ``user``: a test's directory is for its owner alone, and workers of root give that up.
_CONFIG = """
daemon off;
worker_processes 1;
user {user} {group};
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{}}
http {{
    log_format status '$status';
    access_log {directory}/access.log status;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} {ssl};
        {server}
        location / {{ proxy_pass {behind}; {location} }}
    }}
}}
"""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Nginx:
    """In front of another server."""

    def __init__(self, directory: Path, behind: str, **settings: str) -> None:
        """Start it.

        Args:
            directory: for whatever it writes.
            behind: the URL that requests go to, without a path.
            settings: directives of ``http``, ``server`` and ``location``, of ``listen`` (``ssl``).
        """
        self._directory = directory
        self._behind = behind
        self.port = free_port()
        directory.mkdir()
        self._write(settings)
        self._process = subprocess.Popen(
            [_COMMAND, "-p", directory, "-c", "nginx.conf", "-e", "error.log"]
        )
        until(self._listens, "nginx")

    def change(self, **settings: str) -> None:
        """Serve so from now on; returns when the workers of before are gone."""
        self._write(settings)
        exits = self.errors().count("exited with code")
        self._process.send_signal(signal.SIGHUP)
        until(lambda: self.errors().count("exited with code") > exits, "new workers of nginx")

    def answered(self) -> Counter[int]:
        """How often it answered with each status."""
        return Counter(map(int, (self._directory / "access.log").read_text().split()))

    def errors(self) -> str:
        return (self._directory / "error.log").read_text()

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def _write(self, settings: dict[str, str]) -> None:
        parts = dict.fromkeys(("http", "server", "location", "ssl"), "") | settings
        user = getpass.getuser()
        text = _CONFIG.format(
            directory=self._directory,
            behind=self._behind,
            port=self.port,
            user=user,
            group=self._directory.group(),
            **parts,
        )
        # A blank line for each that was not given.
        (self._directory / "nginx.conf").write_text(re.sub(r"\n\s*\n", "\n", text))

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.errors()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@contextlib.contextmanager
def nginx(directory: Path, behind: str, **settings: str) -> Iterator[Nginx]:
    """As `Nginx`, ended at the end."""
    made = Nginx(directory, behind, **settings)
    try:
        yield made
    finally:
        made.close()
