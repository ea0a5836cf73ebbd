"""Servers that the real agent must not trust, or that do not trust it: all is kept, and said."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme
from fakes.delivery import BACKLOG, Delivery, Row
from fakes.processes import command, until
from jsonschema import Draft202012Validator

from edge_agent.cli.status.schema import STATUS
from edge_agent.receiver.tls import server_context

HOST = "127.0.0.1"
DAY = dt.timedelta(days=1)


class Office:
    """An authority that the agent trusts, another that it does not, and what they issue."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authorities = {True: trustme.CA(), False: trustme.CA()}
        self.ca_file = directory / "ca.pem"
        self._authorities[True].cert_pem.write_to_path(str(self.ca_file))

    def issue(
        self, name: str = HOST, *, trusted: bool = True, days: tuple[int, int] = (-1, 1)
    ) -> Path:
        """A file with a certificate and its key.

        Args:
            name: whose it is.
            trusted: by which authority.
            days: from when to when it is valid, from today.
        """
        begins, ends = (dt.datetime.now(dt.UTC) + day * DAY for day in days)
        issued = self._authorities[trusted].issue_cert(name, not_before=begins, not_after=ends)
        path = self._directory / f"{name}.{trusted}.{days[0]}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@dataclasses.dataclass(frozen=True)
class Doubt:
    """Why a connection does not come about, and what the journal says of it."""

    reason: str
    #: a word of what to do
    advice: str
    name: str = HOST
    trusted: bool = True
    days: tuple[int, int] = (-1, 1)
    newest: str = "1.3"
    #: whether the server wants a certificate, and whether it trusts the one that it is shown
    wants: bool = False
    shown: bool | None = None

    def context(self, office: Office) -> ssl.SSLContext:
        """The server's."""
        certificate = office.issue(self.name, trusted=self.trusted, days=self.days)
        authority = office.ca_file if self.wants else None
        return server_context(certificate, client_ca=authority, newest=self.newest)

    def upload(self, office: Office) -> Mapping[str, object]:
        """The agent's settings."""
        shown = {} if self.shown is None else {"client_cert_file": self._ours(office)}
        return {"tls": {"ca_file": str(office.ca_file), **shown}}

    def _ours(self, office: Office) -> str:
        return str(office.issue("pi-7", trusted=bool(self.shown)))


DOUBTS = {
    "expired": Doubt('"tls_expired: ', "renew", days=(-2, -1)),
    # What an agent sees whose clock is in the past.
    "not yet valid": Doubt('"tls_not_yet_valid: ', "clock", days=(1, 2)),
    "wrong host": Doubt('"tls_wrong_host: ', "upload.endpoint", "elsewhere.example"),
    "unknown authority": Doubt('"tls_untrusted: ', "ca_file", trusted=False),
    "TLS 1.0": Doubt('"tls_version: ', "TLS 1.2", newest="1.0"),
    "TLS 1.1": Doubt('"tls_version: ', "TLS 1.2", newest="1.1"),
    "client without certificate": Doubt(
        '"tls: it speaks no TLS 1.2, or wants a client certificate',
        "upload.tls",
        newest="1.2",
        wants=True,
    ),
    "client of another authority": Doubt(
        '"tls_client_cert: ', "client_cert_file", newest="1.2", wants=True, shown=False
    ),
    # The alert may be overtaken by the end of the connection.
    "client without certificate, TLS 1.3": Doubt("", "", wants=True),
    "client of another authority, TLS 1.3": Doubt("", "", wants=True, shown=False),
}


@pytest.mark.fault(
    "tls",
    "expired",
    "wrong host",
    "unknown CA",
    "TLS 1.0 only",
    "client certificate refused",
    "clock in the past",
    how="such a certificate or version; one of tomorrow stands for a clock in the past",
)
@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
def test_connection_that_cannot_be_trusted_carries_nothing_and_is_told_of(
    delivery: Delivery, office: Office, doubt: Doubt
) -> None:
    """Until there is another server at the same place: then all is delivered, once."""
    delivery.serve(tls=doubt.context(office))
    delivery.run(**doubt.upload(office))
    told = delivery.agent.wait_for("link_down")
    assert told.startswith(f"link_down reason={doubt.reason}")
    assert doubt.advice in told.partition(" do=")[2]
    assert (" clock=" in told) is doubt.reason.startswith(('"tls_expired', '"tls_not_yet'))
    assert "client certificate" in told or "reset: " in told or not doubt.wants
    delivery.receiver.close()
    assert delivery.receiver.endpoint.answers == {}

    sound = server_context(office.issue(days=(-1, 3)))
    delivery.serve(tls=sound, address=delivery.receiver.address)
    row = Row(journal=["link_down ", "link_up "])
    delivery.wait(row)
    delivery.end(row)


@pytest.mark.parametrize("name", ["expired", "not yet valid", "wrong host", "unknown authority"])
def test_status_lays_the_certificate_beside_this_clock(
    delivery: Delivery, office: Office, name: str
) -> None:
    """Its dates, its host, the time here and whether anybody set that; and what to do."""
    doubt = DOUBTS[name]
    delivery.serve(tls=doubt.context(office))
    delivery.run(**doubt.upload(office))
    word = doubt.reason.strip('": ')
    site = delivery.site
    until(lambda: (site.status()["health"]["link_reason"] or "").startswith(word), word)
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    told = command("status", "--config", site.config, env=env).stdout
    begins, ends = (f"{dt.datetime.now().astimezone() + day * DAY:%Y-%m-%d}" for day in doubt.days)
    assert f"the last error: {word}: " in told
    assert f"for {doubt.name}, from {begins} " in told
    assert f" to {ends} " in told
    assert f"this machine's clock says {dt.datetime.now().astimezone():%Y-%m-%d} " in told
    assert doubt.advice in told.partition("what to do: ")[2].partition("\n")[0]
    facts = json.loads(command("status", "--config", site.config, "--json", env=env).stdout)
    Draft202012Validator(STATUS).validate(facts)
    assert facts["certificate"]["hosts"] == [doubt.name]
    assert delivery.receiver.endpoint.answers == {}


def test_port_that_speaks_no_tls(delivery: Delivery) -> None:
    """Plain HTTP where TLS was meant: said, and all is kept."""
    delivery.serve()
    delivery.run(endpoint=delivery.receiver.url.replace("http:", "https:"))
    told = delivery.agent.wait_for("link_down")
    assert told.startswith('link_down reason="tls: nobody speaks TLS at that port')
    assert 'do="check upload.endpoint' in told
    assert len(delivery.end(Row(), settled=False)) >= len(BACKLOG)


def test_file_of_the_authority_that_is_not_there_yet(delivery: Delivery, office: Office) -> None:
    """No configuration error: all is kept, and the file is used as soon as it is there."""
    there, elsewhere = office.ca_file, office.ca_file.with_name("elsewhere.pem")
    there.rename(elsewhere)
    delivery.serve(tls=server_context(office.issue()))
    delivery.run(tls={"ca_file": str(there)})
    told = delivery.agent.wait_for("link_down")
    assert told.startswith('link_down reason="no_ca: ')
    assert "upload.tls" in told
    elsewhere.rename(there)
    row = Row(journal=["link_down ", "link_up "])
    delivery.wait(row)
    delivery.end(row)
