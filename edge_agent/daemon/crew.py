"""The two threads, what they run, and how a new configuration takes their place."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.config.model import Config
from edge_agent.daemon import assembly
from edge_agent.daemon.flusher import Flusher
from edge_agent.daemon.journal import Say
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.privacy_key import make_shield
from edge_agent.daemon.readers import BusReaders
from edge_agent.daemon.routes import RouteListener
from edge_agent.daemon.worker import Worker
from edge_agent.processing.privacy import Shield

#: What a step may take before its thread counts as stuck; the flusher's has a request's own
#: time-outs besides.
PATIENCE_S = 30.0
#: For a stop: the poller's last commit, the time in which a further batch is begun, and how long
#: the request in flight is waited for.
POLLER_ENDS_S = 3.0
DRAIN_S = 5.0
FLUSHER_ENDS_S = 10.0


class Crew:
    """Poller and flusher at work, and the listener for links that return.

    Used by the supervisor's thread alone.
    """

    def __init__(
        self,
        config: Config,
        queue: CloudSyncQueue,
        clock: Clock,
        environ: Mapping[str, str],
        *,
        say: Say,
    ) -> None:
        """Make both; `start` starts them.

        Raises:
            UploaderError: the endpoint or the key cannot be used.
        """
        self._queue = queue
        self._clock = clock
        self._environ = environ
        self._say = say
        shield = make_shield(config, clock, say=say)
        self.flusher, self._flushing = self._new_flusher(config, shield)
        self.poller, self._polling = self._new_poller(config, shield)
        #: a former poller that is still at its last commit, and its thread
        self._leaving: tuple[Poller, Worker] | None = None
        #: a former flusher that is still at its last request, and its thread
        self._retiring: tuple[Flusher, Worker] | None = None
        self._routes = RouteListener(self._link_returned)

    @property
    def threads(self) -> tuple[Worker, ...]:
        """The threads that must make progress."""
        polling = self._leaving[1] if self._leaving else self._polling
        flushing = self._retiring[1] if self._retiring else self._flushing
        return polling, flushing

    def start(self) -> None:
        """Start both threads, and listen for links that return."""
        # First: a route must not come between the first try and the listener.
        self._routes.start()
        self._polling.start()
        self._flushing.start()

    def flush_now(self) -> None:
        """Send everything that is queued, now."""
        self.flusher.flush_now()
        self._flushing.wake()

    def wake_poller(self) -> None:
        """Let the poller take in what was offered."""
        self._polling.wake()

    def reload(self, config: Config) -> None:
        """Put a new poller and a new flusher in the old ones' places.

        The poller changes at once, the flusher when the old one is through with its request
        (`settle`), so that nothing is sent by two. So does a poller that is stuck: another one
        would go on from totals that are not the last.

        Raises:
            UploaderError: the endpoint or the key cannot be used; nothing has changed.
        """
        shield = make_shield(config, self._clock, say=self._say)
        flusher, flushing = self._new_flusher(config, shield)
        poller, polling = self._new_poller(config, shield)
        if self._leaving is None:
            self._leaving = self.poller, self._polling
            self._polling.stop(self.poller.finish)
        self.poller, self._polling = poller, polling
        self._change_pollers(POLLER_ENDS_S)
        if self._retiring is None:
            self._retiring = self.flusher, self._flushing
            self._flushing.stop()
        self.flusher, self._flushing = flusher, flushing

    def settle(self) -> None:
        """Start the new poller, and the new flusher, if the old one has ended by now."""
        self._change_pollers(0.0)
        if self._retiring is not None and self._retiring[1].join(0.0):
            self.flusher.inherit(self._retiring[0])
            self._retiring = None
            self._flushing.start()

    def stop(self) -> bool:
        """Stop in order: a last commit, then a last flush.

        Returns:
            whether the flusher ended in time; if not, its request is abandoned and its rows stay.
        """
        self._routes.close()
        if self._leaving is None:
            self._polling.stop(self.poller.finish)
        polling, _ = self.threads
        polling.join(POLLER_ENDS_S)
        flushing = self._retiring[1] if self._retiring else self._flushing
        deadline = self._clock.monotonic() + DRAIN_S
        flushing.stop(None if self._retiring else lambda: self.flusher.drain(deadline))
        return flushing.join(FLUSHER_ENDS_S)

    def _change_pollers(self, timeout_s: float) -> None:
        """Start the new poller where the one before it has ended."""
        if self._leaving is not None and self._leaving[1].join(timeout_s):
            self.poller.inherit(self._leaving[0])
            self._leaving = None
            self._polling.start()

    def _wake_flusher(self) -> None:
        """Called by pollers of all configurations: the flusher of the day is woken."""
        self._flushing.wake()

    def _link_returned(self) -> None:
        """Called by the listener's thread."""
        self.flusher.link_returned()
        self._flushing.wake()

    def _new_flusher(self, config: Config, shield: Shield) -> tuple[Flusher, Worker]:
        uploader = assembly.make_uploader(config, self._clock, self._environ)
        flusher = assembly.make_flusher(
            config, self._queue, uploader, self._clock, say=self._say, shield=shield
        )
        patience_s = PATIENCE_S + config.upload.connect_timeout_s + config.upload.timeout_s
        return flusher, Worker("flusher", flusher.step, self._clock, patience_s=patience_s)

    def _new_poller(self, config: Config, shield: Shield) -> tuple[Poller, Worker]:
        readers = BusReaders(self._clock, self.wake_poller)
        poller = assembly.make_poller(
            config,
            self._queue,
            readers,
            self._clock,
            say=self._say,
            committed=self._wake_flusher,
            shield=shield,
        )
        return poller, Worker("poller", poller.step, self._clock, patience_s=PATIENCE_S)
