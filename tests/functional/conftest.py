"""What tests with real processes share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.processes import Site
from fakes.wire import PATH, Make
from pytest_httpserver import HTTPServer

from edge_agent.cloud_sync import HTTPCloudUploader


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A place for an agent; whatever runs there is killed at the end."""
    place = Site(tmp_path)
    yield place
    place.close()


@pytest.fixture
def make(httpserver: HTTPServer) -> Iterator[Make]:
    """Makes uploaders to the test server, and closes them."""
    with contextlib.ExitStack() as made:

        def make_it(url: str = "", *args: Any, **options: Any) -> HTTPCloudUploader:
            uploader = HTTPCloudUploader(url or httpserver.url_for(PATH), *args, **options)
            made.callback(uploader.close)
            return uploader

        yield make_it
