"""``run``: the daemon, in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_agent.cli.common import add_config_option, add_example, last_good_path
from edge_agent.cli.environment import environment_of
from edge_agent.clock import SystemClock
from edge_agent.config import last_good
from edge_agent.config.loader import Loaded, load
from edge_agent.config.model import Config
from edge_agent.daemon import journal
from edge_agent.daemon.assembly import open_queue
from edge_agent.daemon.service import ServiceManager
from edge_agent.daemon.supervisor import Supervisor
from edge_agent.errors import ConfigError, UploaderError
from edge_agent.events import event

#: sysexits(3), EX_CONFIG: systemd does not restart on it (``RestartPreventExitStatus=78``).
UNUSABLE_CONFIGURATION = 78

#: How long the start may take: opening a file of 64 MB on the slowest card and looking it over, and
#: another one if that is damaged. The rest of a salvage is done beside the work.
_START_S = 300.0

_log = logging.getLogger("edge_agent")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run``."""
    parser = commands.add_parser("run", help="run the agent in the foreground")
    add_example(parser, "run --config agent.yaml")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR1 flushes.

    Returns:
        0 after a stop, 78 when neither the configuration nor the last good one can be used.

    Raises:
        QueueBusy: another agent uses it.
    """
    path = Path(args.config).absolute()
    keeper = _Keeper(path, os.environ)
    try:
        config, source = keeper.first()
    except ConfigError as exc:
        sys.stderr.writelines(f"{problem}\n" for problem in exc.problems)
        sys.stderr.write(f"pyvorin-agent: {path} cannot be used, and there is no last good one\n")
        return UNUSABLE_CONFIGURATION
    log = journal.Journal()
    log.start()
    journal.set_level(config.log.level)
    try:
        return _supervise(config, source, keeper)
    except UploaderError as exc:
        sys.stderr.write(f"pyvorin-agent: {exc}\n")
        return UNUSABLE_CONFIGURATION
    finally:
        log.stop()


def _supervise(config: Config, source: str, keeper: _Keeper) -> int:
    for problem in keeper.problems:
        _log.warning(event("config_last_good", problem=problem))
    service = ServiceManager(os.environ)
    service.starting(_START_S)
    clock = SystemClock()
    queue = open_queue(config, clock)
    agent = Supervisor(
        config, queue, clock, os.environ, service=service, load=keeper.load, source=source
    )
    return agent.run()


class _Keeper:
    """Loads the configuration, and keeps the last one that could be used."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._copy = last_good_path(path, environ)
        #: why the file itself could not be used at the start
        self.problems: tuple[str, ...] = ()

    def load(self) -> Config:
        """The configuration as it is in the file now; kept as the last good one.

        Raises:
            ConfigError: with every problem.
        """
        loaded = load(self._path, environment_of(self._path))
        self._keep(loaded)
        return loaded.config

    def first(self) -> tuple[Config, str]:
        """The configuration to start with, and whether it is ``current`` or ``last_good``.

        Raises:
            ConfigError: the file's problems; there is no last good one either.
        """
        try:
            return self.load(), "current"
        except ConfigError as exc:
            if self._copy is None or not self._copy.exists():
                raise
            self.problems = exc.problems
        return load(self._copy, environment_of(self._path)).config, "last_good"

    def _keep(self, loaded: Loaded) -> None:
        if self._copy is None:
            return
        try:
            last_good.save(self._copy, loaded.text_for_last_good)
        except OSError as exc:
            _log.warning(event("last_good_unwritten", file=self._copy, reason=exc.strerror))
