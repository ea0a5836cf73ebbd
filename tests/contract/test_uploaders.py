"""What every uploader keeps: a batch in, a verdict out, nothing raised, nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from edge_agent.cloud_sync import HTTPCloudUploader, door
from edge_agent.cloud_sync.batch import Batch, Row
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.receiver import Receiver
from edge_agent.types import Priority


class Uploader(Protocol):
    """What the flusher needs."""

    def send(self, batch: Batch) -> Verdict: ...

    def close(self) -> None: ...


Make = Callable[[str], HTTPCloudUploader]

#: Every way in which an uploader can be set up to speak with the same receiver.
KINDS: dict[str, Make] = {
    "gzip": lambda url: HTTPCloudUploader(url, "s3cret", timeout=30.0),
    "plain": lambda url: HTTPCloudUploader(url, "s3cret", timeout=30.0, compression="none"),
}


def batch_of(*ids: int, queue_id: str = "q-1") -> Batch:
    """Rows with these ids."""
    rows = (
        Row(n, door.encode({"n": n, "text": "é☃"}), Priority.TELEMETRY, 1.0, 9, 0, 1.0) for n in ids
    )
    return Batch(queue_id, "pi-7", tuple(rows))


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path / "receiver.db", api_key="s3cret") as receiver:
        yield receiver


@pytest.fixture(params=sorted(KINDS))
def uploader(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[Uploader]:
    uploader = KINDS[request.param](receiver.url)
    yield uploader
    uploader.close()


def test_uploader_delivers_the_rows_as_they_are(uploader: Uploader, receiver: Receiver) -> None:
    """Ids, queue_id, device_id and payloads arrive unchanged and in order."""
    assert uploader.send(batch_of(7, 3)).action is Action.DELIVERED
    found = [(i.queue_id, i.device_id, i.id, i.data) for i in receiver.store.items()]
    assert found == [
        ("q-1", "pi-7", 7, {"n": 7, "text": "é☃"}),
        ("q-1", "pi-7", 3, {"n": 3, "text": "é☃"}),
    ]


def test_uploader_sending_again_makes_no_second_reading(
    uploader: Uploader, receiver: Receiver
) -> None:
    """An answer was lost: the receiver knows the rows, also when they are cut differently."""
    for batch in (batch_of(1, 2), batch_of(1, 2), batch_of(2, 3)):
        assert uploader.send(batch).action is Action.DELIVERED
    assert receiver.store.totals() == (3, 3, 3)


def test_uploader_may_send_an_empty_batch(uploader: Uploader, receiver: Receiver) -> None:
    """The question whether the endpoint works."""
    assert uploader.send(batch_of()).action is Action.DELIVERED
    assert receiver.store.totals().items == 0


def test_uploader_with_nobody_there_says_link_down_and_works_again_later(
    uploader: Uploader, receiver: Receiver, tmp_path: Path
) -> None:
    """An outage raises nothing; the same object goes on when the server is back."""
    assert uploader.send(batch_of(1)).action is Action.DELIVERED
    receiver.close()
    for _ in range(2):
        verdict = uploader.send(batch_of(2))
        assert verdict.action is Action.LINK_DOWN
        assert verdict.reason.split(":")[0] in ("refused", "reset")
    with Receiver(tmp_path / "receiver.db", receiver.address, api_key="s3cret") as again:
        assert uploader.send(batch_of(2)).action is Action.DELIVERED
        assert again.store.totals().items == 2


def test_uploader_closed_twice_is_closed(uploader: Uploader) -> None:
    """Harmless."""
    uploader.close()
    uploader.close()
