"""The configuration, declared: every section with its settings, units, ranges and meaning.

What is declared here works; a key that had no effect would be a lie. Attribute names carry units,
the written keys do not: there the value has one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from edge_agent.config.channels import Sensor
from edge_agent.config.privacy import Privacy
from edge_agent.config.secret_kinds import Headers, Secret, SecretFile, Url
from edge_agent.config.shape import Items, Section
from edge_agent.kinds import Choice, Duration, Flag, Labels, Size, Text, Whole
from edge_agent.options import Conflict, option
from edge_agent.types import Priority

_MIN_S = 60
_HOUR_S = 3600
_DAY_S = 86_400
_PATH = Text(r"/[^\x00]*", "an absolute path")
_TTL = Duration(least=1, most=3650 * _DAY_S)
_MESSAGES = Whole(1, 10**12)
_QUOTA_BYTES = Size(1024, 1024**4)
_OF_BYTES = (
    "Bytes of requests, compressed, heads included, every attempt (what TLS and TCP add comes on "
    "top); absent: no limit."
)


@dataclasses.dataclass(frozen=True)
class Device:
    """Who is speaking."""

    id: str = option(
        Text(r"[!-~]{1,128}", "auto, hostname, or 1 to 128 ASCII characters without spaces"),
        "auto",
        help="The device's name at the server: auto derives a stable one from machine id and board "
        "serial number, hostname takes the host's name, any other text is taken as it is.",
    )
    labels: dict[str, Any] = option(
        Labels(), help="Goes into the metadata of every reading.", fresh=dict
    )


@dataclasses.dataclass(frozen=True)
class Ttl:
    """How long an undelivered reading is kept, by priority."""

    critical_s: float = option(_TTL, 90.0 * _DAY_S, help="How long critical readings are kept.")
    anomaly_s: float = option(_TTL, 90.0 * _DAY_S, help="How long anomalies are kept.")
    telemetry_s: float = option(_TTL, 30.0 * _DAY_S, help="How long usual readings are kept.")
    logs_s: float = option(_TTL, 7.0 * _DAY_S, help="How long the agent's own reports are kept.")

    def of(self, priority: Priority) -> int:
        """The time to live of a reading of this priority, in whole seconds."""
        return int(getattr(self, f"{priority.word}_s"))


@dataclasses.dataclass(frozen=True)
class Queue:
    """Where readings are kept until they are delivered."""

    path: str = option(
        _PATH,
        "/var/lib/pyvorin/sync_queue.db",
        help="The queue's file. Not on a tmpfs or an overlay: it would be gone after a restart.",
    )
    ttl: Ttl = option(
        Section(Ttl, shorthand=_TTL),
        Ttl(),
        help="How long an undelivered reading is kept: one duration, or one for each priority.",
    )
    durability: str = option(
        Choice(("full", "normal")),
        "full",
        help="full: what is committed survives a power cut. normal: it survives a crash of the "
        "agent, and a power cut may take the last seconds.",
    )
    commit_interval_s: float = option(
        Duration(least=0, most=_MIN_S),
        1.0,
        help="Telemetry read within it shares one commit, which spares the card; critical "
        "readings and anomalies are committed at once.",
    )
    max_size_bytes: int = option(
        Size(4 * 1024**2, 1024**4),
        512 * 1024**2,
        help="What rows, log, dead letters and files set aside may occupy together.",
    )
    min_free_disk_bytes: int = option(
        Size(0, 1024**4),
        100 * 1024**2,
        help="Left for the rest of the system: with less than that free the queue stops growing.",
    )
    when_full: str = option(
        Choice(("thin", "shed", "reject")),
        "thin",
        help="thin: logs go, then every second reading of the oldest stretch, its neighbour "
        "standing for it. shed: logs go, then the oldest readings, events after them. reject: "
        "new readings and logs are refused. Critical readings and anomalies are kept longest.",
    )


@dataclasses.dataclass(frozen=True)
class Tls:
    """Certificates, where the system's are not the right ones."""

    ca_file: str | None = option(
        _PATH, None, help="The authorities to trust, as PEM, in place of the system's."
    )
    client_cert_file: str | None = option(_PATH, None, help="The device's own certificate, as PEM.")
    client_key_file: str | None = option(
        _PATH, None, help="Its key, as PEM, where the certificate's file does not hold it."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """A key alone proves nothing."""
        if self.client_key_file and not self.client_cert_file:
            yield ("client_key_file", "client_cert_file"), "needs client_cert_file beside it"


@dataclasses.dataclass(frozen=True)
class Daily:
    """What may be sent from one local midnight to the next."""

    messages: int | None = option(_MESSAGES, None, help="Readings delivered; absent: no limit.")
    bytes: int | None = option(_QUOTA_BYTES, None, help=_OF_BYTES)


@dataclasses.dataclass(frozen=True)
class Monthly:
    """What may be sent in a month of the contract."""

    messages: int | None = option(_MESSAGES, None, help="Readings delivered; absent: no limit.")
    bytes: int | None = option(_QUOTA_BYTES, None, help=_OF_BYTES)
    reset_day: int = option(
        Whole(1, 28), 1, help="The day on which the month of the contract begins."
    )


@dataclasses.dataclass(frozen=True)
class Quotas:
    """What may be sent; reached, telemetry and logs wait, critical readings and anomalies go on."""

    daily: Daily = option(Section(Daily), Daily(), help="From midnight to midnight.")
    monthly: Monthly = option(Section(Monthly), Monthly(), help="From reset_day to reset_day.")


@dataclasses.dataclass(frozen=True)
class Upload:
    """Where readings go, and how."""

    endpoint: str | None = option(
        Url(),
        None,
        help="The server's address; without one the agent stores and sends nothing.",
    )
    auth: str = option(
        Choice(("bearer", "token", "none")),
        "bearer",
        help="How the key is shown: 'Authorization: Bearer KEY', 'Authorization: Token KEY' (as "
        "InfluxDB has it), or not at all.",
    )
    api_key_file: str | None = option(
        SecretFile(), None, help="The file that holds the key and nothing else."
    )
    api_key: str | None = option(
        Secret(), None, help="The key itself; better as ${NAME} from the environment than in here."
    )
    headers: dict[str, str] = option(
        Headers(
            ours=(
                *("connection", "content-encoding", "content-length", "content-type", "host"),
                *("idempotency-key", "transfer-encoding", "user-agent"),
            )
        ),
        help="More header fields for each request, such as {X-Tenant: north}.",
        fresh=dict,
    )
    batch_size: int = option(
        Whole(1, 10_000),
        50,
        help="Most items in one request: 10 to 50 on a slow link, 500 to 1000 on a fast one.",
    )
    max_body_bytes: int = option(
        Size(1024, 32 * 1024**2), 1024**2, help="Most bytes in one request, before compression."
    )
    interval_s: float = option(
        Duration(0.1, _DAY_S),
        60.0,
        help="A partial batch waits at most this long; critical readings and anomalies never wait.",
    )
    retry_delay_s: float = option(
        Duration(0.1, _HOUR_S),
        60.0,
        help="The first pause after a failure; it doubles each time, with full jitter.",
    )
    max_retry_delay_s: float = option(
        Duration(0.1, _DAY_S), 15.0 * _MIN_S, help="The longest pause between two attempts."
    )
    connect_timeout_s: float = option(
        Duration(0.1, 5 * _MIN_S),
        15.0,
        help="How long of that to wait for a connection; never longer than timeout.",
    )
    timeout_s: float = option(
        Duration(0.1, 10 * _MIN_S), 30.0, help="How long a request may take, answer included."
    )
    compression: str = option(Choice(("gzip", "none")), "gzip", help="How the body is compressed.")
    backlog_order: str = option(
        Choice(("oldest_first", "newest_first", "interleave")),
        "oldest_first",
        help="Which end of a backlog goes first, within a priority; interleave: a batch of the "
        "oldest and one of the newest in turn, so that fresh data flows while the rest drains.",
    )
    quota: Quotas = option(Section(Quotas), Quotas(), help="For metered links.")
    tls: Tls = option(Section(Tls), Tls(), help="Certificates.")
    allow_insecure_http: bool = option(
        Flag(),
        default=False,
        help="Lets http:// go to another machine, where everybody on the way can read and change "
        "what is sent, key included.",
    )
    proxy: str | None = option(Url(), None, help="The proxy to go through.")

    def conflicts(self) -> Iterator[Conflict]:
        """What is right alone and wrong together."""
        if self.endpoint and urlsplit(self.endpoint).username is not None:
            yield ("endpoint",), "has a user name in it; write the key in api_key_file instead"
        if self.endpoint and _is_insecure(self.endpoint) and not self.allow_insecure_http:
            sentence = "is http:// to another machine; use https://, or allow_insecure_http: true"
            yield ("endpoint", "allow_insecure_http"), sentence
        if self.api_key is not None and self.api_key_file is not None:
            yield ("api_key", "api_key_file"), "is given together with api_key_file; keep one"
        if self.auth != "none" and "authorization" in map(str.lower, self.headers):
            yield ("headers", "auth"), "has an Authorization of its own, which needs auth: none"
        yield from _in_order(self, "retry_delay", "max_retry_delay")


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What a sensor takes where it says nothing itself."""

    interval_s: float = option(Duration(0.1, _DAY_S), 30.0, help="How often a sensor is read.")


@dataclasses.dataclass(frozen=True)
class Health:
    """How often the agent speaks of itself."""

    report_interval_s: float = option(
        Duration(0, _DAY_S),
        5.0 * _MIN_S,
        help="Between two health lines in the journal; 0s = never.",
    )
    upload_interval_s: float = option(
        Duration(0, 7 * _DAY_S),
        15.0 * _MIN_S,
        help="Between two health readings of priority logs; 0s = never.",
    )


@dataclasses.dataclass(frozen=True)
class Log:
    """What the journal is told."""

    level: str = option(
        Choice(("debug", "info", "notice", "warning", "error")),
        "info",
        help="The least important kind of line that is written.",
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole configuration."""

    device: Device = option(Section(Device), Device(), help="Who is speaking.")
    queue: Queue = option(Section(Queue), Queue(), help="Where readings wait for delivery.")
    upload: Upload = option(Section(Upload), Upload(), help="Where readings go, and how.")
    defaults: Defaults = option(
        Section(Defaults), Defaults(), help="What a sensor takes where it says nothing itself."
    )
    health: Health = option(
        Section(Health), Health(), help="How often the agent reports on itself."
    )
    log: Log = option(Section(Log), Log(), help="What the journal is told.")
    privacy: Privacy = option(
        Section(Privacy), Privacy(), help="What of a reading never reaches the disk as it was read."
    )
    sensors: tuple[Sensor, ...] = option(
        Items(), (), help="What is read; each with the options of its driver."
    )


def _is_insecure(endpoint: str) -> bool:
    """Whether it is plain HTTP that leaves this machine."""
    parts = urlsplit(endpoint)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_order(upload: Upload, shorter: str, longer: str) -> Iterator[Conflict]:
    """A complaint if the first duration exceeds the second."""
    first, second = getattr(upload, f"{shorter}_s"), getattr(upload, f"{longer}_s")
    if first > second:
        write = Duration().write
        yield (shorter, longer), f"is {write(first)}, longer than {longer}, {write(second)}"
