"""Can the server be reached, is it the right one, and does it take what it is sent?"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from edge_agent.cli.doctor.clock import is_right, set_clock
from edge_agent.cli.doctor.files import files
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, within_a_sentence
from edge_agent.cli.status.certificate import DOUBTS, shown_to
from edge_agent.cli.status.text import in_words, local, span
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.certificate import Certificate
from edge_agent.cloud_sync.reach import Lookup
from edge_agent.cloud_sync.uploader import HTTPCloudUploader
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.assembly import make_uploader
from edge_agent.daemon.identity import device_id
from edge_agent.daemon.link import HELD, OF_TIME, STATE_OF, SUSPENDED, remedy_of
from edge_agent.errors import UploaderError

#: A certificate that ends sooner wants somebody's attention.
_SOON_S = 14 * 86_400
#: The longest that is waited for an answer, and for a connection.
_REQUEST_S, _CONNECT_S = 30.0, 15.0
#: For somebody who is looking: the agent itself only waits.
_FIRST_AID = {
    "refused": "see that the server's program runs, and the port in upload.endpoint",
    "no_route": "see that this machine has a network: `ip route` must name a default",
    "timeout": "see that the server runs, and that no firewall stands in the way",
    "reset": "see the server's own log; a firewall or a proxy on the way may cut connections, too",
    "proxy": "see upload.proxy, and that proxy's own log",
}
_TRY = "readings are kept until it answers; run doctor again then"


def server(case: Case) -> Iterator[Finding]:
    """Key, name, TLS, the endpoint's own answer, and what the agent met there."""
    upload = case.config.upload
    found = list(files(case))
    yield from found
    if upload.endpoint is None:
        yield Finding("endpoint", OK, "none is set: readings are kept, and nothing is sent")
        return
    named = _name(case, upload.endpoint)
    yield named
    failed = {finding.topic for finding in found if finding.level == FAIL} - {"privacy"}
    if named.level == OK and failed <= {"key"}:
        yield from _asked(case, upload.endpoint, keyed=not failed)
    yield from _met(case)


def _name(case: Case, endpoint: str) -> Finding:
    """The look-up of the server's name, or of the proxy's that goes there for us."""
    upload = case.config.upload
    parts = urlsplit(upload.proxy or endpoint)
    host, port = parts.hostname or "", parts.port or 443
    whose = "the proxy's name" if upload.proxy else "the name"
    try:
        found = Lookup().addresses(host, port, min(upload.connect_timeout_s, _CONNECT_S))
    except (OSError, UnicodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no host's name"
        says = f"{whose} {host} cannot be looked up: {why}"
        mend = f"is there a network (`ip -brief address`), and does `getent hosts {host}` answer?"
        return Finding("dns", FAIL, says, mend)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if addresses == [host]:
        return Finding("dns", OK, f"{host} is an address; no name to look up")
    return Finding("dns", OK, f"{host} is {', '.join(addresses)}")


def _asked(case: Case, endpoint: str, *, keyed: bool) -> Iterator[Finding]:
    """An empty batch is sent; what comes of it tells of TLS, too, and without the key only that."""
    upload = dataclasses.replace(
        case.config.upload,
        timeout_s=min(case.config.upload.timeout_s, _REQUEST_S),
        connect_timeout_s=min(case.config.upload.connect_timeout_s, _CONNECT_S),
    )
    if not keyed:
        upload = dataclasses.replace(upload, auth="none", api_key_file=None)
    try:
        uploader = make_uploader(dataclasses.replace(case.config, upload=upload), case.clock, {})
    except UploaderError as exc:
        yield Finding("endpoint", FAIL, str(exc), f"{case.edit}")
        return
    if not isinstance(uploader, HTTPCloudUploader):
        return
    began = time.monotonic()
    verdict = uploader.send(Batch("", device_id(case.config.device.id), ()))
    took_s = time.monotonic() - began
    uploader.close()
    word = verdict.reason.partition(":")[0]
    if urlsplit(endpoint).scheme == "https" and verdict.action is not Action.LINK_DOWN:
        yield _valid(case, endpoint)
    if word.startswith("tls"):
        yield _invalid(case, endpoint, verdict)
    elif keyed:
        yield _answer(case, verdict, took_s)


def _certificate(case: Case, endpoint: str) -> Certificate | None:
    upload = case.config.upload
    return shown_to(endpoint, upload.proxy, min(upload.connect_timeout_s, _CONNECT_S))


def _valid(case: Case, endpoint: str) -> Finding:
    shown = _certificate(case, endpoint)
    if shown is None:
        return Finding("tls", OK, "the server's certificate is good")
    left_s = shown.ends - case.clock.wall()
    says = f"the server's certificate, by {shown.issuer}, is good for {span(left_s)}"
    # One that is made for a few days is renewed in the last of them.
    if left_s < min(_SOON_S, (shown.ends - shown.begins) / 4):
        return Finding("tls", WARN, says, "see that the server renews it in time")
    return Finding("tls", OK, says)


def _invalid(case: Case, endpoint: str, verdict: Verdict) -> Finding:
    """Why TLS failed, and what a person compares: the certificate's dates and hosts, this clock."""
    mend = remedy_of(STATE_OF[verdict.action], verdict.reason) or _TRY
    word = verdict.reason.partition(":")[0]
    shown = _certificate(case, endpoint) if word in DOUBTS else None
    if shown is None:
        return Finding("tls", FAIL, verdict.reason, mend)
    right = is_right(case)
    state = "which was set right since the boot" if right else "which nobody has set since the boot"
    hosts = ", ".join(shown.hosts) or "no host that is named"
    says = (
        f"{verdict.reason}; the server's certificate, by {shown.issuer}, is for {hosts} "
        f"from {local(shown.begins)} to {local(shown.ends)}, and by this clock, {state}, it is "
        f"{local(case.clock.wall())}"
    )
    if not right and word in OF_TIME:
        mend = f"set the clock first: {within_a_sentence(set_clock(case))}; then {mend}"
    return Finding("tls", FAIL, says, mend)


def _answer(case: Case, verdict: Verdict, took_s: float) -> Finding:
    """What the endpoint made of an empty batch."""
    word = verdict.reason.partition(":")[0]
    if verdict.action is Action.DELIVERED:
        return Finding("endpoint", OK, f"it took an empty batch in {took_s:.1f} s")
    says = f"an empty batch drew: {in_words(verdict.reason)}"
    state = STATE_OF.get(verdict.action)
    if state is None:
        mend = "the server must answer an empty batch with 2xx; readings may pass all the same"
        return Finding("endpoint", WARN, says, mend)
    cut_short = case.config.upload.timeout_s > _REQUEST_S and took_s > _REQUEST_S * 0.9
    if word == "timeout" and cut_short:
        fares = case.command("status")
        mend = f"upload.timeout allows more than doctor waits; `{fares}` tells how the agent fares"
        return Finding("endpoint", WARN, f"{says}, in {took_s:.0f} s", mend)
    busy = verdict.action in (Action.HELD, Action.BROKEN, Action.IN_PROGRESS)
    near = "proxy" if word in _FIRST_AID and case.config.upload.proxy else word
    mend = _FIRST_AID.get(near) or remedy_of(state, verdict.reason) or _TRY
    return Finding("endpoint", WARN if busy else FAIL, says, mend)


def _met(case: Case) -> Iterator[Finding]:
    """What keeps the running agent from sending, which one request need not show."""
    link, health = case.health.get("link"), case.health
    if link in (SUSPENDED, HELD) and (reason := health.get("link_reason")):
        wait_s = health.get("next_try_s") or 0
        says = f"the agent sends nothing just now: {in_words(reason)}; it tries in {span(wait_s)}"
        mend = f"once the cause is mended, `{case.command('flush')}` has it try at once"
        yield Finding("upload", WARN, says, mend)
    if period := (case.running or {}).get("request", {}).get("quota_reached"):
        says = f"upload.quota of {period} is used up: telemetry and logs wait for the next period"
        yield Finding("upload", WARN, says, f"raise upload.quota: `{case.edit}`")
