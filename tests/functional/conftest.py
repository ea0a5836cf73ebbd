"""What tests with real processes share."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.damage import ROWS
from fakes.delivery import Delivery
from fakes.processes import Site
from fakes.wire import PATH, Make
from pytest_httpserver import HTTPServer

from edge_agent.cloud_sync import CloudSyncQueue, HTTPCloudUploader
from edge_agent.types import Submission


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A place for an agent; whatever runs there is killed at the end."""
    place = Site(tmp_path)
    yield place
    place.close()


@pytest.fixture
def delivery(site: Site, record_property: Callable[[str, object], None]) -> Iterator[Delivery]:
    """A server and an agent; what the agent's journal said stands in the test's report."""
    place = Delivery(site)
    yield place
    place.close()
    for line in place.agent.lines:
        record_property("journal", line)
        print(line)


@pytest.fixture
def make(httpserver: HTTPServer) -> Iterator[Make]:
    """Makes uploaders to the test server, and closes them."""
    with contextlib.ExitStack() as made:

        def make_it(url: str = "", *args: Any, **options: Any) -> HTTPCloudUploader:
            uploader = HTTPCloudUploader(url or httpserver.url_for(PATH), *args, **options)
            made.callback(uploader.close)
            return uploader

        yield make_it


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with queued rows, delivered ones, dead letters and state; its log still beside it."""
    site = tmp_path_factory.mktemp("sound")
    with CloudSyncQueue(site / "w.db", clock=FakeClock(), device_id="pi-7") as queue:
        queue.enqueue_many([Submission({"n": n, "pad": "x" * 80}) for n in range(ROWS - 10)])
        queue.ack(list(range(1, 101)))
        queue.dead_letter([101, 102, 103], "refused")
        queue.memory.save("driver", {"total": 7})
        queue._store.checkpoint()
        queue.enqueue_many([Submission({"n": n, "late": True}) for n in range(10)])
        for part in ("", "-wal"):
            shutil.copy(f"{queue.path}{part}", site / f"q.db{part}")
    return site


@pytest.fixture
def spoilt(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt: 2,897 rows, the last ten in the log alone."""
    for part in ("", "-wal"):
        shutil.copy(sound / f"q.db{part}", tmp_path / f"q.db{part}")
    return tmp_path / "q.db"


@pytest.fixture
def clock() -> FakeClock:
    clock = FakeClock()
    clock.advance(60)
    return clock


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where a test puts what a person may want to look at: kept where TEST_ARTEFACTS says."""
    place = Path(os.environ.get("TEST_ARTEFACTS", tmp_path))
    place.mkdir(parents=True, exist_ok=True)
    return place
