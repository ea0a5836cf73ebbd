"""The supervisor: starts the threads, watches them, reports, reloads, stops. The main thread.

It waits on one queue of events, which signal handlers and threads fill, and looks at everything
once a tick.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue as queues
import signal
from collections.abc import Callable, Mapping
from typing import Any

import edge_agent
from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.config.model import Config
from edge_agent.daemon import assembly, health, heartbeat, identity, journal, metrics
from edge_agent.daemon.crew import Crew
from edge_agent.daemon.growth import Growth
from edge_agent.daemon.runs import Run
from edge_agent.daemon.service import ServiceManager
from edge_agent.errors import ConfigError, QueueError, StoreError, UploaderError
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority

_log = logging.getLogger("edge_agent")

#: How often everything is looked at; a third of the watchdog's time where that is less.
TICK_S = 5.0
#: How often the record of the run is brought up to date; a power cut takes as much of it.
NOTE_EVERY_S = 300.0
_STOP = (signal.SIGTERM, signal.SIGINT)
#: An event that is no signal: something a status should show has changed.
_CHANGED = 0


class Supervisor:
    """The running agent."""

    def __init__(
        self,
        config: Config,
        queue: CloudSyncQueue,
        clock: Clock,
        environ: Mapping[str, str],
        *,
        service: ServiceManager,
        load: Callable[[], Config],
        source: str,
    ) -> None:
        """Put the agent together; `run` runs it.

        Args:
            config: a configuration that was accepted.
            queue: opened; `run` closes it.
            clock: the machine's.
            environ: the environment.
            service: who has started the agent, and watches it.
            load: loads the configuration anew; raises `ConfigError`.
            source: which file it is from: ``current`` or ``last_good``.

        Raises:
            UploaderError: the endpoint or the key cannot be used.
        """
        self._config = config
        self._queue = queue
        self._clock = clock
        self._load = load
        self._source = source
        self._runtime = assembly.runtime_directory(queue.path, environ)
        self._service = service
        self._run = Run(queue, clock)
        self._growth = Growth()
        self._events: queues.SimpleQueue[int] = queues.SimpleQueue()
        self._stuck = False
        self._report_due = clock.monotonic() + config.health.report_interval_s
        self._note_due = clock.monotonic() + NOTE_EVERY_S
        self._upload_due = clock.monotonic() + config.health.upload_interval_s
        self._crew = Crew(config, queue, clock, environ, say=self._say)

    def run(self) -> int:
        """Run until told to stop; returns the exit code.

        Raises:
            QueueBusy: another agent, or a program's flush, owns the queue file.
        """
        with self._queue.flushing():
            self._begin()
            while not self._stop_wanted():
                self._tick()
            self._end()
        return 0

    def _say(self, level: int, line: str) -> None:
        """Tell a change of state: to the journal, to the history, and soon to the status."""
        _log.log(level, line)
        with contextlib.suppress(QueueError):
            self._queue.memory.note(line)
        # Whatever else is in line brings a look at everything too.
        if self._events.empty():
            self._events.put(_CHANGED)

    # -- begin and end -------------------------------------------------------------------------

    def _begin(self) -> None:
        self._tell_start()
        for number in (*_STOP, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda number, _frame: self._events.put(number))
        self._crew.start()
        self._tick()
        self._service.ready()
        _log.info(event("ready"))

    def _tell_start(self) -> None:
        """How the last run ended, and with what this one begins."""
        # A file that cannot be used yet is told of by whoever cannot store; readings wait.
        with contextlib.suppress(StoreError):
            before = self._run.begin()
            if before is not None:
                depth = self._queue.pending_count()
                _log.log(NOTICE, event("previous_run", **before, undelivered=depth))
        upload = self._config.upload
        _log.info(
            event(
                "started",
                version=edge_agent.__version__,
                sensors=len(self._config.sensors),
                endpoint=upload.endpoint or "none",
                batch_size=upload.batch_size,
                interval_s=upload.interval_s,
                retry_delay_s=upload.retry_delay_s,
                queue=self._queue.path,
                config=self._source,
            )
        )
        if upload.endpoint is None:
            advice = "readings are kept, nothing is sent; set upload.endpoint to send them"
            self._say(NOTICE, event("store_only", do=advice))

    def _end(self) -> None:
        """Stop in order: no more readings, a last commit, a last flush, the books."""
        self._service.stopping()
        in_time = self._crew.stop()
        self._tick()
        depth = None
        with contextlib.suppress(QueueError):
            self._run.note("stopped")
            depth = self._queue.pending_count()
        _log.info(event("stopped", depth=depth, request="ended" if in_time else "abandoned"))
        self._queue.close()

    # -- the loop ------------------------------------------------------------------------------

    def _stop_wanted(self) -> bool:
        """Wait for an event or the next tick, and do what it asks."""
        watchdog_s = self._service.watchdog_s
        tick_s = min(TICK_S, watchdog_s / 3) if watchdog_s else TICK_S
        try:
            number = self._events.get(timeout=tick_s)
        except queues.Empty:
            return False
        if number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            _log.info(event("flush_requested"))
            self._crew.flush_now()
        return number in _STOP

    def _tick(self) -> None:
        """Look at everything."""
        now = self._clock.monotonic()
        self._crew.settle()
        self._check_progress(now)
        parts = self._parts()
        # What fails here is told where it matters: by whoever could not store.
        with contextlib.suppress(QueueError):
            fields = health.line(parts)
            self._show(health.document(fields, parts))
            self._service.status(health.brief(fields))
            self._report(parts, fields, now)

    def _show(self, status: dict[str, Any]) -> None:
        """The files for those who look from outside; a full or missing /run takes them alone."""
        for name, text in (
            ("status.json", json.dumps(status)),
            ("metrics.prom", metrics.exposition(status)),
        ):
            with contextlib.suppress(OSError):
                health.write_atomically(self._runtime / name, text)

    def _check_progress(self, now: float) -> None:
        """Ping while all threads make progress; else say once who does not, and let systemd act."""
        stuck = heartbeat.stuck(self._crew.threads, now)
        if not stuck:
            self._stuck = False
            self._service.alive()
        elif not self._stuck:
            self._stuck = True
            reason = f"{stuck[0].name} stuck in {heartbeat.whereabouts(stuck[0])}"
            _log.error(event("watchdog", reason=reason, do="systemd restarts the agent"))
            _log.error("watchdog_stack %s", heartbeat.stack(stuck[0]))
            with contextlib.suppress(QueueError):
                self._run.note("watchdog", reason)

    def _report(self, parts: health.Parts, fields: dict[str, Any], now: float) -> None:
        """The health line and the health reading, when they are due."""
        intervals = self._config.health
        if intervals.report_interval_s and now >= self._report_due:
            self._report_due = now + intervals.report_interval_s
            _log.info(event("queue_health", **fields))
        # Who is stuck has been noted, and that is what the next start is to find.
        if now >= self._note_due and not self._stuck:
            self._note_due = now + NOTE_EVERY_S
            with contextlib.suppress(QueueError):
                self._run.note()
        if intervals.upload_interval_s and now >= self._upload_due:
            self._upload_due = now + intervals.upload_interval_s
            self._crew.poller.offer(health.reading(fields, parts), Priority.LOGS)
            self._crew.wake_poller()

    def _parts(self) -> health.Parts:
        return health.Parts(
            queue=self._queue,
            poller=self._crew.poller,
            flusher=self._crew.flusher,
            clock=self._clock,
            config=self._source,
            sends=self._config.upload.endpoint is not None,
            run=self._run,
            growth=self._growth,
        )

    # -- reload --------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Take a new configuration over; the old one keeps running if the new one is bad."""
        try:
            config = self._load()
            self._crew.reload(config)
        except (ConfigError, UploaderError) as exc:
            for problem in getattr(exc, "problems", (str(exc),)):
                self._say(logging.WARNING, event("config_refused", problem=problem))
            return
        for name in ("path", "durability", "max_size_bytes", "min_free_disk_bytes", "when_full"):
            if getattr(config.queue, name) != getattr(self._config.queue, name):
                key = name.removesuffix("_bytes")
                line = event("config_waits", key=f"queue.{key}", do="restart pyvorin-agent")
                self._say(logging.WARNING, line)
        if config.device.id != self._config.device.id:
            self._queue.rename_device(identity.device_id(config.device.id))
        self._config, self._source = config, "current"
        journal.set_level(config.log.level)
        self._say(NOTICE, event("config_reloaded", sensors=len(config.sensors)))
