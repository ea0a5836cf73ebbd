"""``queue send``: what was exported at a site without a link, sent from any machine with one."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import sys
import time
from pathlib import Path

from edge_agent.cli.common import UsageError, add_json_options, load_to_look
from edge_agent.cli.environment import environment_of
from edge_agent.cli.progress import progress
from edge_agent.cli.queue.common import Commands, add_command, answer, counted
from edge_agent.cli.queue.schemas import SEND
from edge_agent.clock import SystemClock
from edge_agent.cloud_sync import carried
from edge_agent.cloud_sync.courier import Courier
from edge_agent.config.model import Config, Upload
from edge_agent.daemon.assembly import make_uploader
from edge_agent.errors import ConfigError, EdgeAgentError, StoreError

#: Refused rows that are named; the file has them all.
_MOST_LISTED = 20


def register(commands: Commands) -> None:
    """Add ``send FILE``."""
    parser = add_command(
        commands,
        "send",
        "send a file that `queue export` wrote; goes on where it stopped",
        send,
        example="queue send barn.ndjson.gz --endpoint https://api.example.com/v1/ingest",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="gzip where it ends in .gz")
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="send there; no configuration is read (default: upload.endpoint)",
    )
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="holds the bearer key for --endpoint"
    )
    add_json_options(parser, SEND)


def send(args: argparse.Namespace) -> int:
    """Send what is not sent yet; 0, or 1 where a row is left or was refused.

    Raises:
        ConfigError: there is no endpoint.
        UsageError: there is a key for none.
        UploaderError: the endpoint or the key cannot be used.
        StoreError: there is no such file.
    """
    # The largest import of all, which no other command of the group needs.
    from edge_agent.cloud_sync.uploader import HTTPCloudUploader  # noqa: PLC0415

    config = _config(args)
    uploader = make_uploader(config, SystemClock(), environment_of(args.config))
    if not isinstance(uploader, HTTPCloudUploader):
        raise ConfigError(f"{args.config} has no upload.endpoint; name one with --endpoint URL")
    total = _count(args.file)
    courier = Courier(
        args.file.absolute(),
        uploader,
        items=config.upload.batch_size,
        max_bytes=config.upload.max_body_bytes,
        sleep=time.sleep,
    )
    with contextlib.closing(uploader):
        trouble = ""
        try:
            with progress("rows", total) as tell:
                courier.run(tell)
        except EdgeAgentError as exc:
            trouble = str(exc)
    _tell(args, courier, total, trouble)
    return int(bool(trouble) or courier.position.rejected > 0)


def _config(args: argparse.Namespace) -> Config:
    """The upload settings: those of the configuration, or the defaults for another endpoint."""
    if args.endpoint is None:
        if args.api_key_file is not None:
            raise UsageError("--api-key-file belongs to --endpoint URL; name that, too")
        return load_to_look(args.config)
    key_file = None if args.api_key_file is None else str(args.api_key_file)
    auth = "none" if key_file is None else "bearer"
    upload = Upload(endpoint=args.endpoint, auth=auth, api_key_file=key_file)
    return dataclasses.replace(Config(), upload=upload)


def _count(file: Path) -> int:
    """The lines of the file, as far as it can be read.

    Raises:
        StoreError: it cannot be opened.
    """
    total = 0
    try:
        for _ in carried.lines_of(file):
            total += 1
    except StoreError:
        # What is there is sent; that it breaks off is told at its end.
        if not total:
            raise
    return total


def _tell(args: argparse.Namespace, courier: Courier, total: int, trouble: str) -> None:
    """What was sent in all, and what was not."""
    position, rejects = courier.position, courier.rejects
    delivered, refused, left = position.delivered, position.rejected, total - position.lines
    facts = {
        "version": 1,
        "delivered": delivered,
        "refused": refused,
        "rejects": str(rejects) if refused else None,
        "left": left,
        "trouble": trouble or None,
    }
    said = f"{counted(delivered, 'row')} delivered, {refused} refused, {left} left"
    answer(args, facts, [said])
    if refused:
        sys.stderr.write(f"pyvorin-agent: what was refused stands in {rejects}, with the reason\n")
        for line in itertools.islice(carried.lines_of(rejects), _MOST_LISTED):
            sys.stderr.write(f"  {carried.reason_of(line)}\n")
    if trouble:
        sys.stderr.write(f"pyvorin-agent: {trouble}\n")
