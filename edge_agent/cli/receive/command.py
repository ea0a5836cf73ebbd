"""``pyvorin-agent receive``: how the reference receiver is called."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_agent.cli.common import add_example, add_json_options
from edge_agent.cli.schemas import RECEIVE

_LAST_PORT = 65_535


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "receive",
        help="the reference receiver: stores every reading once in a SQLite file",
        description="Takes what agents send, stores every reading once, counts repeats.",
    )
    add_example(parser, "receive --listen 127.0.0.1:8089 --db received.db")
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
    add_json_options(parser, RECEIVE)
    parser.add_argument(
        "--script", type=Path, metavar="FILE", help="faults to play, in YAML; see --script-help"
    )
    parser.add_argument(
        "--script-help", action="store_true", help="say what may stand in a script, and end"
    )
    _register_tls(parser)
    parser.set_defaults(run=_run)


def _register_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS")
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM certificate; speak TLS")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its PEM key, if not in there")
    group.add_argument(
        "--client-ca", type=Path, metavar="FILE", help="let in only who has a certificate of it"
    )
    group.add_argument(
        "--tls-max-version",
        choices=("1.0", "1.1", "1.2", "1.3"),
        default="1.3",
        help="the newest version to speak; old ones show that an agent refuses them",
    )


def _run(args: argparse.Namespace) -> int:
    """Do it; only now is the receiver loaded."""
    # The daemon is a command of the same program and must not carry a server with it.
    from edge_agent.cli.receive.run import receive  # noqa: PLC0415

    return receive(args)


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
