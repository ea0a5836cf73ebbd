"""The README's tuning: files that the checker takes, and figures that were measured with them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fakes.pages import README, ROOT, section
from fakes.slow_link import SlowLink
from fakes.wire import Make, batch_of

from edge_agent.cloud_sync.verdict import Action
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.receiver import Receiver

TUNING = section(README, "Tuning: 2G, LTE, LAN, satellite")
TEXT = " ".join(TUNING.split())
MEASURED = ROOT / "tests/testcases/links/measured.md"
LINKS = sorted((ROOT / "config/examples/links").glob("*.yaml"))


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The script that measured."""
    path = ROOT / "scripts/bench_links.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    yield module
    del sys.modules[path.stem]


def test_links_table_is_what_was_measured_with_these_settings(bench: ModuleType) -> None:
    """A file that is changed wants to be measured anew, and the README wants all of it."""
    measured = MEASURED.read_text()
    settings = "".join(f"{row}\n" for row in bench.settings_rows())
    assert measured.startswith(settings)
    assert measured in TUNING
    assert len(measured.splitlines()) > len(settings.splitlines())


@pytest.mark.parametrize("file", LINKS, ids=lambda file: file.stem)
def test_links_file_goes_beside_the_shipped_one(tmp_path: Path, file: Path) -> None:
    """As the README has it copied; nothing else has to be changed."""
    main = tmp_path / "agent.yaml"
    shutil.copy(ROOT / "config/agent.yaml", main)
    fragments = tmp_path / "agent.d"
    fragments.mkdir()
    shutil.copy(file, fragments / "link.yaml")
    (fragments / "upload.yaml").write_text("upload: {endpoint: 'https://api.example.com/in'}\n")
    assert load(main, {}).config.upload.endpoint


def test_links_are_all_measured_and_shipped(bench: ModuleType) -> None:
    """From the package's own directory, where the README says they are."""
    assert sorted(kind.file for kind in bench.KINDS) == [file.name for file in LINKS]
    (told,) = re.findall(r"/usr/share/doc/pyvorin-agent/examples/(links)/(\S+)", TUNING)
    assert (ROOT / "config/examples" / told[0] / told[1]) in LINKS
    assert "config/examples/links\n" in (ROOT / "debian/pyvorin-agent.examples").read_text()
    assert "config/examples/links/*.yaml" in (ROOT / "pyproject.toml").read_text()


def test_links_batch_sizes_are_within_what_the_text_says(bench: ModuleType) -> None:
    """10 to 50 on 2G, and so on."""
    ranges = dict(re.findall(r"(\d+ to \d+) on (?:a )?(2G|LTE|LAN)", TUNING))
    assert len(ranges) == 3
    for written, title in ranges.items():
        (kind,) = (kind for kind in bench.KINDS if kind.title == title)
        least, most = map(int, written.split(" to "))
        assert least <= bench.settings(kind).upload.batch_size <= most


@pytest.fixture(scope="module")
def day(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, float]:
    """A queue with a day's readings, how many, and how many bytes each takes."""
    file = tmp_path_factory.mktemp("day") / "day.db"
    return file, *bench.record_a_day(file)


def test_links_room_is_what_a_day_of_readings_takes(day: tuple[Path, int, float]) -> None:
    """Bytes of a reading in the queue, how many fit, and for how many days."""
    _, readings, row_bytes = day
    fits = Config().queue.max_size_bytes / row_bytes
    assert f"{readings:,} a day" in TEXT
    assert f"takes {row_bytes:.0f} bytes in the queue" in TEXT
    assert f"so the 512 MiB of `queue.max_size` hold {fits / 1e6:.1f} million" in TEXT
    (days,) = re.findall(r"fill them in (\d+) days", TEXT)
    assert int(days) == round(fits / readings, -1)


def test_links_connection_costs_what_the_text_says(
    tmp_path: Path, bench: ModuleType, day: tuple[Path, int, float]
) -> None:
    """A new one, with one reading: some KiB."""
    (kib,) = re.findall(r"costs three times there and back and some (\d+) KiB", TEXT)
    kind = bench.Kind("test", "lan.yaml", 1e9, 1e9, 0.0)
    with bench.way(tmp_path, kind) as there:
        _, sent_bytes, readings = next(bench.singles(there, day[0], 1))
    print(f"{sent_bytes} bytes for {readings} reading on a new connection")
    assert readings == 1
    assert round(sent_bytes / 1024) == int(kib)


def test_slow_link_carries_everything_and_counts_it(tmp_path: Path, make: Make) -> None:
    """What the figures rest on: the request as it is, both ways, and where nobody listens."""
    with Receiver(tmp_path / "r.db") as receiver:
        ways = {"up_bps": 1e9, "down_bps": 1e9, "round_trip_s": 0.001}
        with SlowLink(receiver.address, **ways) as link:
            uploader = make(f"http://127.0.0.1:{link.port}/v1/ingest")
            assert uploader.send(batch_of(*range(1, 51))).action is Action.DELIVERED
            assert link.up.bytes == uploader.sent_bytes
            assert link.down.bytes > 100
        assert receiver.store.totals().items == 50
        assert uploader.send(batch_of(51)).action is Action.LINK_DOWN
