"""``pyvorin-agent receive``: the reference receiver, in the foreground."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path

from edge_agent.errors import ConfigError
from edge_agent.receiver import Receiver

_STOP = (signal.SIGTERM, signal.SIGINT)
_LAST_PORT = 65_535


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "receive",
        help="the reference receiver: stores every reading once in a SQLite file",
        description="Takes what agents send, stores every reading once, counts repeats.",
    )
    parser.add_argument(
        "--listen",
        type=_address,
        default="127.0.0.1:8089",
        metavar="HOST:PORT",
        help="where to listen; port 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--db",
        type=Path,
        default="receiver.db",
        metavar="FILE",
        help="the SQLite file, made when it is not there (default: %(default)s)",
    )
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="holds the bearer key that requests must carry (default: none is asked for)",
    )
    parser.add_argument("--verbose", action="store_true", help="one line per request, on stderr")
    parser.set_defaults(run=receive)


def receive(args: argparse.Namespace) -> int:
    """Receive until SIGTERM or SIGINT, then say what came.

    Raises:
        ConfigError: the address or the key file cannot be used.
        StoreError: the SQLite file cannot be used.
    """
    if args.verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    api_key = _read_key(args.api_key_file) if args.api_key_file else None
    # Blocked before the first thread starts, so that every thread inherits it and the signals wait
    # for sigwait below instead of interrupting a request.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with Receiver(args.db, args.listen, api_key=api_key) as receiver:
        _say(f"receiving on {receiver.url}, storing in {args.db}")
        signal.sigwait(_STOP)
        totals = receiver.store.totals()
    _say(f"received requests={totals.requests} items={totals.items} repeated={totals.repeated}")
    return 0


def _address(written: str) -> tuple[str, int]:
    """Host and port as people write them.

    Raises:
        argparse.ArgumentTypeError: in one sentence.
    """
    host, colon, port = written.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(
            f"{written!r} is no HOST:PORT with a port from 0 to {_LAST_PORT}, as 127.0.0.1:8089"
        )
    return host, int(port)


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
