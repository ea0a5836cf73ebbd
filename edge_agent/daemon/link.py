"""What we know of the way to the server, and when it may be tried again.

Four states: ``up``; ``down`` (nothing gets through); ``held`` (the server wants to be left alone);
``suspended`` (endpoint or key is wrong). Each change is told once, with how long it lasted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_agent.cloud_sync.backoff import full_jitter
from edge_agent.cloud_sync.verdict import Action
from edge_agent.daemon.journal import Say
from edge_agent.events import NOTICE, event

UP = "up"
DOWN = "down"
HELD = "held"
SUSPENDED = "suspended"
#: Before the first request.
UNTRIED = "untried"

STATE_OF = {
    Action.LINK_DOWN: DOWN,
    Action.HELD: HELD,
    Action.BROKEN: HELD,
    Action.IN_PROGRESS: HELD,
    Action.SUSPENDED: SUSPENDED,
}
_TOLD = {
    DOWN: (logging.WARNING, "link_down", "readings are kept; nothing to do if this is expected"),
    HELD: (logging.INFO, "endpoint_held", None),
    SUSPENDED: (logging.ERROR, "suspended", "check upload.endpoint and the API key"),
}
#: What to do about failures, by the first words of their reasons, where it is something else.
_REMEDIES = {
    "captive_portal": "a login page answers; log in to this network, or use another",
    "no_key": "put the API key into the file that is named",
    "no_ca": "see that the files of upload.tls are there",
    "refuses everything": "nothing was lost; see at the server why it refuses all readings",
    "tls": "check upload.endpoint and the files of upload.tls",
    "tls_client_cert": "check upload.tls.client_cert_file; the server decides whom it lets in",
    "tls_expired": "renew the server's certificate, or see whether this machine's clock is right",
    "tls_not_yet_valid": "see whether this machine's clock is right",
    "tls_untrusted": "set upload.tls.ca_file if the server has an authority of its own",
    "tls_version": "the server has to speak TLS 1.2 or newer",
    "tls_wrong_host": "check upload.endpoint; its host is not in the server's certificate",
}
#: Reasons that a wrong clock has, too.
OF_TIME = ("tls_expired", "tls_not_yet_valid")
_BACK = {DOWN: "link_up", HELD: "endpoint_ready", SUSPENDED: "resumed"}


class Link:
    """The state of the way to the server. Used by the flusher alone; others read its fields."""

    def __init__(
        self,
        *,
        base_s: float,
        cap_s: float,
        draw: Callable[[], float],
        say: Say,
        synchronized: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin untried.

        Args:
            base_s: the longest first back-off (``retry_delay``).
            cap_s: the longest of all (``max_retry_delay``).
            draw: uniformly random in 0 to 1.
            say: where changes of state are told.
            synchronized: whether the clock is right.
        """
        self.state = UNTRIED
        #: monotonic seconds of the last change of state
        self.since = 0.0
        #: the last failure, in words; empty while all is well
        self.reason = ""
        #: monotonic seconds before which nothing is tried
        self.next_try = 0.0
        #: tries since the start, whatever came of them
        self.attempts_total = 0
        self._failures = 0
        self._base_s = base_s
        #: the longest back-off, in seconds
        self.longest_s = cap_s
        self._draw = draw
        self._say = say
        self._synchronized = synchronized

    @property
    def remedy(self) -> str | None:
        """What a person can do about its state; None: nothing, or nothing is wrong."""
        return remedy_of(self.state, self.reason)

    def may_try(self, now: float) -> bool:
        """Whether the hold is over."""
        return now >= self.next_try

    def worked(self, now: float) -> None:
        """The server took something."""
        self.attempts_total += 1
        if self.state in _BACK:
            lasted = now - self.since
            line = event(_BACK[self.state], after_s=round(lasted), attempts=self._failures)
            self._say(NOTICE, line)
        self._enter(UP, "", now)
        self._failures = 0
        self.next_try = now

    def failed(
        self, action: Action, reason: str, now: float, *, retry_after_s: float | None = None
    ) -> float:
        """An attempt failed.

        Args:
            action: a verdict that holds back (down, held, in progress, suspended).
            reason: for the journal.
            now: monotonic seconds.
            retry_after_s: what the server asked for.

        Returns:
            seconds for which nothing will be tried: full jitter on top of what the server asked
            for, or the longest back-off where endpoint or key is wrong.
        """
        state = STATE_OF[action]
        self.attempts_total += 1
        self._failures += 1
        hold_s = self.longest_s
        if state != SUSPENDED:
            jitter_s = full_jitter(
                self._failures, base_s=self._base_s, cap_s=self.longest_s, draw=self._draw()
            )
            hold_s = (retry_after_s or 0.0) + jitter_s
        self.next_try = now + hold_s
        if state != self.state:
            level, name, _ = _TOLD[state]
            remedy = remedy_of(state, reason)
            was = {"was": self.state, "for_s": round(now - self.since)}
            fields = was if self.state in _BACK else {}
            line = event(
                name,
                reason=reason,
                clock=self._clock_behind(reason),
                next_try_s=round(hold_s),
                **fields,
                do=remedy,
            )
            self._say(level, line)
        self._enter(state, reason, now)
        return hold_s

    def try_now(self, now: float) -> None:
        """Forget the hold: a person asked, or the configuration changed."""
        self.next_try = now

    def _clock_behind(self, reason: str) -> str | None:
        """Whether the clock is right, where it may be to blame."""
        if reason.partition(":")[0] not in OF_TIME:
            return None
        return "synced" if self._synchronized() else "unsynced"

    def _enter(self, state: str, reason: str, now: float) -> None:
        if state != self.state:
            self.state, self.since = state, now
        self.reason = reason


def remedy_of(state: str, reason: str) -> str | None:
    """By the reason, else by the state."""
    if state not in _TOLD:
        return None
    return _REMEDIES.get(reason.partition(":")[0], _TOLD[state][2])
