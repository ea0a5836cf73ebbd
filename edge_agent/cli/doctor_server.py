"""Can the server be reached, is it the right one, and does it take what it is sent?"""

from __future__ import annotations

import dataclasses
import shlex
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Case, Finding
from edge_agent.cli.doctor_service import named_files
from edge_agent.cli.status_certificate import shown_to
from edge_agent.cli.status_text import in_words, local, span
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.certificate import Certificate
from edge_agent.cloud_sync.reach import Lookup
from edge_agent.cloud_sync.uploader import HTTPCloudUploader
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.assembly import make_uploader
from edge_agent.daemon.identity import device_id
from edge_agent.daemon.link import STATE_OF, remedy_of
from edge_agent.errors import UploaderError

#: A certificate that ends sooner wants somebody's attention.
_SOON_S = 14 * 86_400
_TRY = "readings are kept until it answers; run doctor again then"


def server(case: Case) -> Iterator[Finding]:
    """Key, name, TLS and the endpoint's own answer; then the clock, which TLS can vouch for."""
    upload = case.config.upload
    if upload.endpoint is None:
        yield Finding("endpoint", OK, "none is set: readings are kept, and nothing is sent")
        yield clock(case)
        return
    files = list(_files(case))
    yield from files
    found = _name(case, upload.endpoint)
    yield found
    failed = {finding.topic for finding in files if finding.level == FAIL}
    if found.level == OK and failed <= {"key"}:
        yield from _asked(case, upload.endpoint, keyed=not failed)
    yield clock(case)


def _files(case: Case) -> Iterator[Finding]:
    """The key and the certificates, as the agent may read them."""
    upload = case.config.upload
    if case.handed_key:
        yield Finding("key", OK, "systemd hands it over as a credential")
    elif upload.auth != "none" and not (upload.api_key or upload.api_key_file):
        mend = f"set upload.api_key_file in {case.config_file}, or upload.auth: none"
        yield Finding("key", WARN, "there is none, so requests bear no Authorization", mend)
    for key, path in named_files(upload):
        yield _readable(case, "key" if "key" in key else "certificate", key, path)


def _readable(case: Case, topic: str, key: str, path: Path) -> Finding:
    name, user = shlex.quote(str(path)), case.user
    try:
        text, mode = path.read_bytes(), path.stat().st_mode
    except PermissionError:
        mend = f"sudo chown root:{user} {name} && sudo chmod 0640 {name}"
        return Finding(topic, FAIL, f"upload.{key}: {user} cannot read {path}", mend)
    except OSError as exc:
        mend = f"with what belongs there in FILE: sudo install -m 0640 -g {user} FILE {name}"
        return Finding(topic, FAIL, f"upload.{key}: {path}: {exc.strerror}", mend)
    if not text.strip():
        mend = f"write it there: sudoedit {name}"
        return Finding(topic, FAIL, f"upload.{key}: {path} is empty", mend)
    if topic == "key" and mode & stat.S_IROTH:
        mend = f"sudo chown root:{user} {name} && sudo chmod 0640 {name}"
        return Finding(topic, WARN, f"upload.{key}: {path} can be read by everybody", mend)
    return Finding(topic, OK, f"upload.{key}: {path} can be read by {user}")


def _name(case: Case, endpoint: str) -> Finding:
    """The look-up of the server's name, or of the proxy's that goes there for us."""
    upload = case.config.upload
    parts = urlsplit(upload.proxy or endpoint)
    host, port = parts.hostname or "", parts.port or 443
    whose = "the proxy's name" if upload.proxy else "the name"
    try:
        found = Lookup().addresses(host, port, upload.connect_timeout_s)
    except (socket.gaierror, UnicodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no host's name"
        mend = (
            f"getent hosts {host} asks again; resolvectl, or /etc/resolv.conf, tells who is asked"
        )
        return Finding("dns", FAIL, f"{whose} {host} cannot be looked up: {why}", mend)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if addresses == [host]:
        return Finding("dns", OK, f"{host} is an address; no name to look up")
    return Finding("dns", OK, f"{host} is {', '.join(addresses)}")


def _asked(case: Case, endpoint: str, *, keyed: bool) -> Iterator[Finding]:
    """An empty batch is sent; what comes of it tells of TLS, too, and without the key only that."""
    config = case.config
    if not keyed:
        upload = dataclasses.replace(config.upload, auth="none", api_key_file=None)
        config = dataclasses.replace(config, upload=upload)
    try:
        uploader = make_uploader(config, case.machine.clock, {})
    except UploaderError as exc:
        yield Finding("endpoint", FAIL, str(exc), f"sudoedit {case.config_file}")
        return
    if not isinstance(uploader, HTTPCloudUploader):
        return
    began = case.machine.clock.monotonic()
    verdict = uploader.send(Batch("", device_id(case.config.device.id), ()))
    took_s = case.machine.clock.monotonic() - began
    uploader.close()
    word = verdict.reason.partition(":")[0]
    if urlsplit(endpoint).scheme == "https" and verdict.action is not Action.LINK_DOWN:
        yield _valid(case, endpoint)
    if word.startswith("tls"):
        yield _invalid(case, endpoint, verdict)
    elif keyed:
        yield _answer(verdict, took_s)


def _certificate(case: Case, endpoint: str) -> Certificate | None:
    upload = case.config.upload
    return shown_to(endpoint, upload.proxy, upload.connect_timeout_s)


def _valid(case: Case, endpoint: str) -> Finding:
    shown = _certificate(case, endpoint)
    if shown is None:
        return Finding("tls", OK, "the server's certificate is good")
    left_s = shown.ends - case.machine.clock.wall()
    says = f"the server's certificate, by {shown.issuer}, is good for {span(left_s)}"
    if left_s < _SOON_S:
        return Finding("tls", WARN, says, "see that the server renews it in time")
    return Finding("tls", OK, says)


def _invalid(case: Case, endpoint: str, verdict: Verdict) -> Finding:
    """Why TLS failed, and what a person compares: the certificate's dates and hosts, this clock."""
    mend = remedy_of(STATE_OF[verdict.action], verdict.reason) or _TRY
    shown, machine = _certificate(case, endpoint), case.machine
    if shown is None:
        return Finding("tls", FAIL, verdict.reason, mend)
    right = machine.clock.synchronized()
    state = "which was set right since the boot" if right else "which nobody has set since the boot"
    says = (
        f"{verdict.reason}; the certificate, by {shown.issuer}, is for {', '.join(shown.hosts)} "
        f"from {local(shown.begins)} to {local(shown.ends)}, and by this clock, {state}, it is "
        f"{local(machine.clock.wall())}"
    )
    if not right and verdict.reason.startswith(("tls_expired", "tls_not_yet_valid")):
        mend = f"set the clock first: {_set_clock(case)}; then {mend}"
    return Finding("tls", FAIL, says, mend)


def _answer(verdict: Verdict, took_s: float) -> Finding:
    """What the endpoint made of an empty batch."""
    if verdict.action is Action.DELIVERED:
        return Finding("endpoint", OK, f"it took an empty batch in {took_s:.1f} s")
    says = f"an empty batch drew: {in_words(verdict.reason)}"
    state = STATE_OF.get(verdict.action)
    if state is None:
        mend = "the server must answer an empty batch with 2xx; readings may pass all the same"
        return Finding("endpoint", WARN, says, mend)
    busy = verdict.action in (Action.HELD, Action.BROKEN, Action.IN_PROGRESS)
    return Finding(
        "endpoint", WARN if busy else FAIL, says, remedy_of(state, verdict.reason) or _TRY
    )


def clock(case: Case) -> Finding:
    """Whether this machine's time is right."""
    machine = case.machine
    known = case.running is not None and case.running["health"]["clock"] == "synced"
    if known or machine.clock.synchronized():
        return Finding("clock", OK, f"right: {local(machine.clock.wall())}")
    says = (
        f"it says {local(machine.clock.wall())}, and nobody has set it since the boot: readings "
        "bear clock: unsynced until somebody does"
    )
    return Finding("clock", WARN, says, _set_clock(case))


def _set_clock(case: Case) -> str:
    """The command that brings the time, by what this machine has."""
    if case.machine.ask(["timedatectl", "show", "--property", "NTP", "--value"]) == "yes":
        return "timedatectl timesync-status tells which server is asked; is there a network?"
    return "sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true"
