"""The books and the rows change together, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue


def test_ledger_of_a_transaction_that_fails_books_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and books go together or not at all."""
    with CloudSyncQueue(tmp_path / "q.db") as queue:
        queue.enqueue({})
        for act in (queue.ack, queue.ack_sent, lambda ids: queue.dead_letter(ids, "r")):
            with monkeypatch.context() as broken:
                broken.setattr("edge_agent.cloud_sync.ledger.post", _fail)
                with pytest.raises(ZeroDivisionError):
                    act([1])
            assert (queue.pending_count(), queue.messages_sent_today) == (1, 0)
            assert queue.ledger().closes
        assert queue.ack([1]) == 1


def _fail(*_: object) -> None:
    raise ZeroDivisionError
