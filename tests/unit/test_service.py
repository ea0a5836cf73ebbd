"""Talking to systemd, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.daemon.service import ServiceManager


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        # The library reads the process's own environment.
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


@pytest.fixture
def service(systemd: socket.socket) -> Iterator[ServiceManager]:
    made = ServiceManager(os.environ)
    yield made
    # The library keeps its socket open for good.
    assert made._notifier is not None
    made._notifier.socket.close()


def _heard(systemd: socket.socket) -> list[bytes]:
    heard = []
    try:
        while True:
            heard.append(systemd.recv(4096))
    except BlockingIOError:
        return heard


def test_service_manager_sends_each_message_in_a_datagram_of_its_own(
    service: ServiceManager, systemd: socket.socket
) -> None:
    """A status that is refused must not take READY with it."""
    service.starting(300.0)
    service.status("depth 0")
    service.ready()
    service.alive()
    service.stopping()
    started, *others = _heard(systemd)
    assert started == b"EXTEND_TIMEOUT_USEC=300000000"
    assert others == [b"STATUS=depth 0", b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_service_manager_status_is_ascii_on_one_line_and_sent_when_it_changes(
    service: ServiceManager, systemd: socket.socket
) -> None:
    """A line break would begin another message; a foreign letter would lose the datagram."""
    for _ in range(3):
        service.status("link down, caf\u00e9 \u4e2d\nWATCHDOG=trigger")
    assert _heard(systemd) == [b"STATUS=link down, caf? ? WATCHDOG=trigger"]


def test_service_manager_without_systemd_is_silent() -> None:
    """`run` needs no service manager."""
    service = ServiceManager({})
    service.ready()
    service.status("depth 0")
    assert service.watchdog_s is None


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_service_manager_watchdog_is_obeyed_if_it_is_meant_for_us(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    """sd_watchdog_enabled(3)."""
    assert ServiceManager(environ).watchdog_s == watchdog_s
