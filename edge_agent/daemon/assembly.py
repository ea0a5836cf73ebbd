"""From the configuration to parts that fit together: the one place where rooms meet."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.config import model
from edge_agent.config.channels import Sensor
from edge_agent.daemon.flusher import Flusher, FlushSettings, Uploader
from edge_agent.daemon.identity import device_id
from edge_agent.daemon.intake import Intake
from edge_agent.daemon.journal import Say
from edge_agent.daemon.link import Link
from edge_agent.daemon.pending import Pending
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.quota import Allowance
from edge_agent.daemon.readers import Readers
from edge_agent.daemon.schedule import Slot
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.pipeline import SensorPlan
from edge_agent.processing.privacy import Shield
from edge_agent.sensors import i2c, registry
from edge_agent.sensors.base import Surroundings
from edge_agent.types import NEVER_S, Priority

#: systemd puts credentials here (systemd.exec(5), ``LoadCredential=``).
CREDENTIAL = "pyvorin-agent.api-key"
#: And the service's files that are gone with the power, by the unit's ``RuntimeDirectory=``.
SERVICE_DIRECTORY = Path("/run/pyvorin")


def open_queue(config: model.Config, clock: Clock) -> CloudSyncQueue:
    """The queue the configuration describes; opened as soon as its file can be."""
    return CloudSyncQueue(
        config.queue.path,
        durability=config.queue.durability,
        device_id=device_id(config.device.id),
        clock=clock,
        max_size_bytes=config.queue.max_size_bytes,
        min_free_disk_bytes=config.queue.min_free_disk_bytes,
        when_full=config.queue.when_full,
        unattended=True,
    )


def make_poller(
    config: model.Config,
    queue: CloudSyncQueue,
    readers: Readers,
    clock: Clock,
    *,
    say: Say,
    committed: Callable[[], None],
    shield: Shield,
) -> Poller:
    """The poller with its sensors, each built but untouched."""
    pending = Pending(
        queue, commit_interval_s=config.queue.commit_interval_s, say=say, committed=committed
    )
    buses = i2c.Buses()
    surroundings = Surroundings(bus=buses, monotonic=clock.monotonic, announce=readers.announce)
    labels = config.device.labels
    slots = [make_slot(sensor, labels, surroundings) for sensor in config.sensors]
    intake = Intake(
        slots,
        pending,
        clock,
        ttl_s=time_to_live(config),
        labels=labels,
        say=say,
        shield=shield.apply,
    )
    return Poller(slots, readers, intake, queue, clock, say=say, let_go=buses.close)


def make_slot(sensor: Sensor, labels: Mapping[str, object], surroundings: Surroundings) -> Slot:
    """One configured sensor, built."""
    channels = {
        name: ChannelPlan(
            sensor.public_name(name),
            channel.filters,
            channel.valid,
            channel.report,
            channel.alarms,
            channel.anomaly,
            sensor.interval_s,
        )
        for name, channel in sensor.channels.items()
    }
    plan = SensorPlan(sensor.name, channels, {**labels, **sensor.metadata})
    driver = registry.build(sensor.type, sensor.options, surroundings)
    return Slot(plan, driver, sensor.interval_s, owner=f"{sensor.type}:{sensor.name}")


def make_flusher(
    config: model.Config,
    queue: CloudSyncQueue,
    uploader: Uploader | None,
    clock: Clock,
    *,
    say: Say,
    shield: Shield,
    draw: Callable[[], float] = random.random,
) -> Flusher:
    """The flusher, with a way to the server that nobody has tried yet."""
    upload = config.upload
    queue.traffic.reset_day = upload.quota.monthly.reset_day
    link = Link(
        base_s=upload.retry_delay_s,
        cap_s=upload.max_retry_delay_s,
        draw=draw,
        say=say,
        synchronized=clock.synchronized,
    )
    settings = FlushSettings(
        upload.batch_size,
        upload.max_body_bytes,
        upload.interval_s,
        backlog_order=upload.backlog_order,
        daily=Allowance(upload.quota.daily.messages, upload.quota.daily.bytes),
        monthly=Allowance(upload.quota.monthly.messages, upload.quota.monthly.bytes),
        gap_ttl_s=time_to_live(config)[Priority.LOGS],
        labels=config.device.labels,
        shield=shield.apply,
    )
    return Flusher(queue, uploader, settings, link, clock, say=say)


def make_uploader(
    config: model.Config, clock: Clock, environ: Mapping[str, str]
) -> Uploader | None:
    """The uploader; None where there is no endpoint: store only.

    Raises:
        UploaderError: what the configuration says cannot be used.
    """
    upload = config.upload
    if upload.endpoint is None:
        return None
    # The largest import of all is spared where nothing is ever sent.
    from edge_agent.cloud_sync.uploader import HTTPCloudUploader  # noqa: PLC0415

    return HTTPCloudUploader(
        upload.endpoint,
        upload.api_key or "",
        upload.timeout_s,
        api_key_file=_key_file(upload, environ),
        connect_timeout_s=min(upload.connect_timeout_s, upload.timeout_s),
        auth=upload.auth,
        headers=upload.headers,
        compression=upload.compression,
        ca_file=upload.tls.ca_file or "",
        client_cert_file=upload.tls.client_cert_file or "",
        client_key_file=upload.tls.client_key_file or "",
        proxy=upload.proxy or "",
        allow_insecure_http=upload.allow_insecure_http,
        clock=clock,
    )


def time_to_live(config: model.Config) -> dict[Priority, int]:
    """How long a reading of each priority keeps; with nowhere to send it to, for ever."""
    if config.upload.endpoint is None:
        return dict.fromkeys(Priority, NEVER_S)
    return {priority: config.queue.ttl.of(priority) for priority in Priority}


def runtime_directory(queue_path: Path, environ: Mapping[str, str]) -> Path:
    """Where status.json goes: systemd's directory for us, else beside the queue.

    Who looks for the service's has not its environment; it is known by the queue that it names.
    """
    given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    installed = queue_path.parent == Path("/var/lib/pyvorin") and SERVICE_DIRECTORY.is_dir()
    return SERVICE_DIRECTORY if installed or _serves(queue_path) else queue_path.parent


def _serves(queue_path: Path) -> bool:
    """Whether the service has this queue."""
    try:
        told = json.loads((SERVICE_DIRECTORY / "status.json").read_text(encoding="utf-8"))
        return bool(told["queue"] == str(queue_path))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _key_file(upload: model.Upload, environ: Mapping[str, str]) -> Path | None:
    """The file with the key: a systemd credential goes before what the configuration names."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(directory) / CREDENTIAL if directory else None
    if credential is not None and credential.exists():
        return credential
    return Path(upload.api_key_file) if upload.api_key_file else None
