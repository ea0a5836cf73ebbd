"""The configuration from its files: all of it, or every mistake in it at once.

``agent.yaml`` is read first, then ``agent.d/*.yaml`` beside it in name order. (The directory is
named after the file, so that another file in the same place has fragments of its own.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import voluptuous as vol

from edge_agent.config import document, environment
from edge_agent.config.findings import Findings
from edge_agent.config.merge import merge
from edge_agent.config.model import Config
from edge_agent.config.places import Problem
from edge_agent.config.sensors import REGISTRY, Drivers, SensorParser
from edge_agent.config.shape import MOST_ERRORS, assemble
from edge_agent.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A configuration that can be used."""

    config: Config
    #: what was read, in this order
    files: tuple[Path, ...]
    #: all of it as one YAML text; ``${NAME}`` stands as it was written
    text_for_last_good: str = dataclasses.field(repr=False)


def load(path: Path, environ: Mapping[str, str], drivers: Drivers = REGISTRY) -> Loaded:
    """Read and check the configuration; opens no device and no key file.

    Args:
        path: the main file.
        environ: what ``${NAME}`` is looked up in.
        drivers: where sensor types come from.

    Raises:
        ConfigError: with every problem, in the order of files and lines.
    """
    files = (path, *_fragments(path.parent / f"{path.stem}.d"))
    documents = [document.read(file, order) for order, file in enumerate(files)]
    merged = merge(documents)
    if any(read.data is None for read in documents):
        # What is missing may stand in the part that could not be read: no use complaining of it.
        raise _refused(merged.problems)
    text = document.dump(merged.data)
    findings = Findings(merged.data, merged.places, merged.problems)
    if len(text.encode()) > document.MOST_BYTES:
        # What is kept as the last good one could not be read again.
        most = f"{document.MOST_BYTES // 1024} KiB"
        findings.complain(
            (), f"is more than {most} as it is kept, with what {files[0].stem}.d adds"
        )
    findings.data = environment.expand(merged.data, environ, findings.complain)
    config = _config(findings, drivers)
    if findings.problems:
        raise _refused(findings.problems)
    return Loaded(config, files, text)


def _fragments(directory: Path) -> list[Path]:
    """The files beside the main one, in name order; an editor's hidden copies are passed over."""
    try:
        files = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{directory}: {document.unreadable(error)}") from None
    return [file for file in files if file.suffix == ".yaml" and file.name[0] != "."]


def _config(findings: Findings, drivers: Drivers) -> Config:
    """The configuration; worth nothing if there are findings."""
    config = Config()
    try:
        (config,) = assemble(findings.data, Config)
    except vol.MultipleInvalid as invalid:
        findings.report(invalid)
    written = findings.data.get("sensors")
    parser = SensorParser(drivers, config.defaults.interval_s, findings)
    sensors = parser.parse(written if isinstance(written, list) else [])
    return dataclasses.replace(config, sensors=sensors)


def _refused(problems: Iterable[Problem]) -> ConfigError:
    listed = sorted(problems)
    more = len(listed) - MOST_ERRORS
    told = [str(problem) for problem in listed[:MOST_ERRORS]]
    if more > 0:
        told.append(f"{listed[0].place.file}: there is more to mend once this is")
    return ConfigError(*told)
