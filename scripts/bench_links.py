"""What goes through a link, and at what price: the tables of the README, measured.

The agent of this checkout, a proxy that holds back what it carries (`fakes.slow_link`), and the
reference receiver behind TLS. The settings are those of config/examples/links, the readings those
that the agent stores of five sensors in a day.

    .venv/bin/python scripts/bench_links.py > tests/testcases/links/measured.md
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import trustme

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fakes.clock import FakeClock  # noqa: E402  # found only now
from fakes.processes import Site  # noqa: E402
from fakes.slow_link import SlowLink  # noqa: E402
from fakes.whole import Agent  # noqa: E402

from edge_agent.cloud_sync import CloudSyncQueue, HTTPCloudUploader  # noqa: E402
from edge_agent.cloud_sync.selection import Wanted  # noqa: E402
from edge_agent.cloud_sync.verdict import Action  # noqa: E402
from edge_agent.config import model  # noqa: E402
from edge_agent.config.loader import load  # noqa: E402
from edge_agent.kinds import Duration, Size  # noqa: E402
from edge_agent.receiver import Receiver  # noqa: E402
from edge_agent.receiver.tls import server_context  # noqa: E402

EXAMPLES = ROOT / "config/examples/links"
DAY_S = 86_400
#: What is read and stored in the day: five sensors, each every 30 s (the default).
_SITE = (
    "device: {{id: pi-7, labels: {{site: lyon}}}}\n"
    "queue: {{path: {}, durability: normal}}\nhealth: {{upload_interval: 0s}}\nsensors:\n"
) + "".join(
    f"  - {{{{name: temp.cold_{n}, type: simulated, seed: {n}, base: {n}, amplitude: 1.5,"
    f" period: 6h, noise: 0.1, metadata: {{{{zone: A}}}}}}}}\n"
    for n in range(1, 6)
)
_READINGS_PER_S = 5 / 30
_MONTH = 30 * DAY_S * _READINGS_PER_S
#: Servers commonly close a connection that says nothing for longer (nginx: 75 s).
_KEPT_S = 60
#: Single requests of each kind; the median counts.
_SINGLES = 5


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of link, as it is assumed to be."""

    title: str
    file: str
    up_bps: float
    down_bps: float
    round_trip_s: float

    @property
    def assumed(self) -> str:
        """In words."""
        up, down = (_rate(bps) for bps in (self.up_bps, self.down_bps))
        return f"{up} up, {down} down, {round(1000 * self.round_trip_s)} ms"


KINDS = (
    Kind("2G", "2g.yaml", 20e3, 40e3, 0.7),
    Kind("LTE", "lte.yaml", 5e6, 20e6, 0.06),
    Kind("LAN", "lan.yaml", 50e6, 50e6, 0.002),
    Kind("maritime", "maritime.yaml", 128e3, 512e3, 0.7),
)


def settings(kind: Kind) -> model.Config:
    """The example's configuration."""
    return load(EXAMPLES / kind.file, {}).config


def settings_rows() -> list[str]:
    """The half of the table that is not measured."""
    uploads = [settings(kind).upload for kind in KINDS]
    durations = ("interval", "connect_timeout", "timeout", "retry_delay", "max_retry_delay")
    months = [upload.quota.monthly.bytes for upload in uploads]
    keeps = [settings(kind).queue.ttl.telemetry_s for kind in KINDS]
    return [
        _row("", [f"[{kind.title}](config/examples/links/{kind.file})" for kind in KINDS]),
        _row("---", ["---"] * len(KINDS)),
        _row("assumed: bit/s, there and back", [kind.assumed for kind in KINDS]),
        _row("`batch_size`", [str(upload.batch_size) for upload in uploads]),
        *(
            _row(f"`{key}`", [Duration().write(getattr(one, f"{key}_s")) for one in uploads])
            for key in durations
        ),
        _row("`ttl`: `telemetry`", [Duration().write(seconds) for seconds in keeps]),
        _row("`quota`: a month", ["none" if b is None else Size().write(b) for b in months]),
    ]


@dataclasses.dataclass(frozen=True)
class Figures:
    """What came of one link."""

    readings: int
    #: seconds until the last one of the backlog was answered, and bytes of it
    drain_s: float
    drain_up_bytes: int
    drain_down_bytes: int
    #: the usual request of a site that is well, both ways
    usual_bytes: int
    usual_readings: int
    #: one reading on a connection of its own
    alarm_s: float


def measured_rows(all_figures: Sequence[Figures]) -> list[str]:
    """The other half."""
    per_minute = [60 * one.readings / one.drain_s for one in all_figures]
    drained = [(one.drain_up_bytes + one.drain_down_bytes) / one.readings for one in all_figures]
    usual = [one.usual_bytes / one.usual_readings for one in all_figures]
    return [
        _row("readings a minute, backlog", [f"{float(f'{n:.2g}'):,.0f}" for n in per_minute]),
        _row("a day's backlog takes", [_time(one.drain_s) for one in all_figures]),
        _row("bytes a reading, backlog", [f"{n:.0f}" for n in drained]),
        _row("bytes a reading, as they come", [f"{n:.0f}" for n in usual]),
        _row("MiB a month, as they come", [f"{n * _MONTH / 2**20:.0f}" for n in usual]),
        _row("an alarm on a new connection takes", [_time(one.alarm_s) for one in all_figures]),
    ]


class LooseClock(FakeClock):
    """Some milliseconds late each time, as a poller is."""

    def __init__(self, wall: float) -> None:
        super().__init__(wall)
        self._random = random.Random(1)

    def advance(self, seconds: float) -> None:
        """A little further than it was told."""
        super().advance(seconds + self._random.uniform(0, 0.004))


def record_a_day(file: Path) -> tuple[int, float]:
    """A queue with what the agent reads and stores in a day without a link.

    Returns:
        how many readings, and how many bytes of the file each of them takes.
    """
    config = file.with_suffix(".yaml")
    config.write_text(_SITE.format(file))
    clock = LooseClock(time.time() - DAY_S)
    agent = Agent(load(config, {}).config, clock, None)  # without a server it stores only
    agent.run(DAY_S)
    agent.poller.finish()
    figures = agent.queue.pending_count(), agent.queue.row_bytes()
    agent.cut_power()
    return figures


class Way:
    """A receiver behind TLS and behind a slow link, and what is needed to get there."""

    def __init__(self, directory: Path, kind: Kind) -> None:
        authority = trustme.CA()
        self.ca_file, certificate = directory / "ca.pem", directory / "server.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        self.receiver = Receiver(directory / "received.db", tls=server_context(certificate))
        self.link = SlowLink(
            self.receiver.address,
            up_bps=kind.up_bps,
            down_bps=kind.down_bps,
            round_trip_s=kind.round_trip_s,
        )
        self.url = f"https://127.0.0.1:{self.link.port}/v1/ingest"

    @property
    def bytes(self) -> tuple[int, int]:
        """What went over the link, up and down."""
        return self.link.up.bytes, self.link.down.bytes


@contextlib.contextmanager
def way(directory: Path, kind: Kind) -> Iterator[Way]:
    """Both running."""
    made = Way(directory, kind)
    with made.receiver, made.link:
        yield made


def measure(day: Path, directory: Path, kind: Kind) -> Figures:
    """One link: the agent with a day's backlog, then single requests by its uploader alone."""
    with way(directory, kind) as there:
        upload = settings(kind).upload
        readings, drain_s, up, down = drain(there, day, directory, kind)
        alarm_s, _, _ = typical(singles(there, day, 1))
        usual = min(upload.batch_size, round(upload.interval_s * _READINGS_PER_S))
        kept = upload.interval_s < _KEPT_S
        _, usual_bytes, usual_readings = typical(singles(there, day, usual, kept=kept))
    return Figures(readings, drain_s, up, down, usual_bytes, usual_readings, alarm_s)


def singles(
    there: Way, day: Path, items: int, *, kept: bool = False
) -> Iterator[tuple[float, int, int]]:
    """Seconds, bytes and readings of requests, each on a connection of its own, or on one kept."""
    with CloudSyncQueue(day) as queue:
        batch = queue.next_batch(Wanted(items))
    if batch is None:
        raise SystemExit(f"{day} has no readings")
    uploader = HTTPCloudUploader(there.url, auth="none", ca_file=str(there.ca_file))
    for _ in range(_SINGLES):
        before, began = sum(there.bytes), time.monotonic()
        verdict = uploader.send(batch)
        if verdict.action is not Action.DELIVERED:
            raise SystemExit(f"a request failed: {verdict.reason}")
        taken_s = time.monotonic() - began
        if not kept:
            uploader.close()
            # Its end is on its way.
            time.sleep(2 * there.link.round_trip_s + 0.1)
        yield taken_s, sum(there.bytes) - before, len(batch.rows)
    uploader.close()


def typical(figures: Iterator[tuple[float, int, int]]) -> tuple[float, int, int]:
    """The median of each; the first request on a connection that is kept made it."""
    seconds, sent_bytes, readings = zip(*figures, strict=True)
    return statistics.median(seconds), round(statistics.median(sent_bytes)), readings[0]


def drain(there: Way, day: Path, directory: Path, kind: Kind) -> tuple[int, float, int, int]:
    """Readings, seconds, and bytes up and down of the agent that finds a day in its queue."""
    site = Site(directory)
    shutil.copy(day, site.queue)
    shutil.copytree(EXAMPLES, site.config.with_suffix(".d"), ignore=_all_but(kind.file))
    site.config.write_text(
        f"queue: {{path: {site.queue}}}\nhealth: {{upload_interval: 0s}}\n"
        f"upload: {{endpoint: '{there.url}', auth: none, tls: {{ca_file: {there.ca_file}}}}}\n"
    )
    with CloudSyncQueue(site.queue) as queue:
        readings = queue.pending_count()
    site.agent(PYTHONPATH=str(ROOT))
    try:
        while there.receiver.store.totals().items < readings:
            time.sleep(0.01)
        ended = time.monotonic()
    finally:
        site.close()
    # Before the first byte a connection was made, and the last answer is on its way.
    taken_s = ended - (there.link.up.first_at or ended) + 1.5 * there.link.round_trip_s
    return readings, taken_s, *there.bytes


def _all_but(name: str) -> Callable[[object, list[str]], list[str]]:
    return lambda _, names: [other for other in names if other != name]


def _row(title: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([title, *cells])} |"


def _rate(bps: float) -> str:
    return f"{bps / 1e6:g} M" if bps >= 1e6 else f"{bps / 1e3:g} k"  # noqa: PLR2004


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"  # noqa: PLR2004


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        day = Path(name).absolute() / "day.db"
        readings, row_bytes = record_a_day(day)
        measured = {}
        # The fast ones are the shortest, and want a machine that does nothing else.
        for kind in sorted(KINDS, key=lambda kind: -kind.up_bps):
            directory = day.parent / kind.title
            directory.mkdir()
            measured[kind] = measure(day, directory, kind)
            print(kind.title, measured[kind], file=sys.stderr, flush=True)
        print("\n".join([*settings_rows(), *measured_rows([measured[kind] for kind in KINDS])]))
        print(f"{readings} readings of {row_bytes:.0f} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
