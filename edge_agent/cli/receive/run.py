"""The reference receiver in the foreground: receives until it is told to stop, says what came."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

from edge_agent.cli.common import UsageError
from edge_agent.errors import ConfigError
from edge_agent.receiver import Receiver
from edge_agent.receiver.script import load_script
from edge_agent.receiver.script_help import markdown
from edge_agent.receiver.tls import server_context

_STOP = (signal.SIGTERM, signal.SIGINT)


def receive(args: argparse.Namespace) -> int:
    """Receive until SIGTERM or SIGINT, then say what came.

    Raises:
        ConfigError: the address, the key file, the script or a certificate cannot be used.
        StoreError: the SQLite file cannot be used.
    """
    if args.script_help:
        sys.stdout.write(markdown())
        return 0
    if args.verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    receiver = Receiver(
        args.db,
        args.listen,
        api_key=_read_key(args.api_key_file) if args.api_key_file else None,
        script=load_script(args.script) if args.script else None,
        tls=_context(args),
    )
    say = _say_json if args.json else _say_words
    # Blocked before the first thread starts, so that every thread inherits it and the signals wait
    # for sigwait below instead of interrupting a request.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with receiver:
        say(receiving=receiver.url, db=str(args.db))
        signal.sigwait(_STOP)
        totals = receiver.store.totals()
    answers = sorted(receiver.endpoint.answers.items())
    say(
        **totals._asdict(),
        # 0 stands for none at all.
        answers={str(status or "none"): count for status, count in answers},
        steps=[dataclasses.asdict(count) for count in receiver.endpoint.play.counts],
    )
    return 0


def _context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """What the TLS options ask for.

    Raises:
        UsageError: one of them asks for nothing without a certificate.
        ConfigError: a file cannot be used.
    """
    if args.tls_cert is not None:
        return server_context(args.tls_cert, args.tls_key, args.client_ca, args.tls_max_version)
    if args.tls_key or args.client_ca:
        raise UsageError("--tls-key and --client-ca need --tls-cert; add it, or leave them out")
    return None


def _say_json(**said: Any) -> None:
    """One object a line, in the shapes of `schemas.RECEIVE`."""
    _say(json.dumps({"version": 1} | said))


def _say_words(**said: Any) -> None:
    """The same for people."""
    if "receiving" in said:
        _say(f"receiving on {said['receiving']}, storing in {said['db']}")
        return
    for step in said["steps"]:
        _say("step {step} {do} done={done} passed={passed} stored={stored}".format(**step))
    _say("received requests={requests} items={items} repeated={repeated}".format(**said))


def _read_key(path: Path) -> str:
    """The key that a file holds, without the white space around it.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {path} cannot be read: {error}") from error
    if not key:
        raise ConfigError(f"the key file {path} is empty; write the key into it")
    return key


def _say(sentence: str) -> None:
    """Print a line now: who started the command through a pipe waits for it."""
    print(sentence, flush=True)  # noqa: T201  a command speaks on stdout
