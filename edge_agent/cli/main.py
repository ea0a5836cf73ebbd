"""The ``pyvorin-agent`` command: its arguments, its exit codes, and no traceback ever.

Exit: 0 done, 1 not done, 2 usage; ``run`` alone also 78.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

import edge_agent
from edge_agent.cli import check, config, flush, run
from edge_agent.cli.common import UsageError
from edge_agent.cli.demo import command as demo
from edge_agent.cli.doctor import command as doctor
from edge_agent.cli.queue import command as queue
from edge_agent.cli.receive import command as receive
from edge_agent.cli.sensors import command as sensors
from edge_agent.cli.status import command as status
from edge_agent.errors import EdgeAgentError

_GROUPS = (run, check, demo, status, doctor, sensors, queue, flush, receive, config)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: those of the command line by default.

    Returns:
        the exit code.
    """
    _see_to_streams()
    args = _parser().parse_args(arguments)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read us has had enough (`| head`).
        _drop_output()
        return 1
    except EdgeAgentError as exc:
        return _failed(str(exc), 2 if isinstance(exc, UsageError) else 1)
    except OSError as exc:
        # A full disk under stdout, a file without permission: nothing that we could mend.
        _drop_output()
        return _failed(": ".join(filter(None, [exc.filename, exc.strerror or str(exc)])))
    except KeyboardInterrupt:
        return _failed("interrupted")
    except Exception as exc:  # noqa: BLE001  # the outermost frame: a person gets a sentence
        return _failed(f"unexpected {type(exc).__name__}: {exc}; please report it")
    return code


def _see_to_streams() -> None:
    """Have three that can be used, whatever the locale is and whoever closed them."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Python's word for one that was closed (`>&-`).
            mode = "r" if name == "stdin" else "w"
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115  # for good
            setattr(sys, name, null)
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            # An ASCII locale must not turn a help text into an error.
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What stdout does not take is forgotten: Python would complain once more at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(sentence: str, code: int = 1) -> int:
    print(f"pyvorin-agent: {sentence}", file=sys.stderr)  # noqa: T201  # a command speaks
    return code


def _parser() -> argparse.ArgumentParser:
    """All commands."""
    parser = argparse.ArgumentParser(
        prog="pyvorin-agent",
        description="Reads sensors, keeps every reading in a queue on disk, sends it when it can.",
    )
    parser.add_argument(
        "--version", action="version", version=f"pyvorin-agent {edge_agent.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for group in _GROUPS:
        group.register(commands)
    return parser
