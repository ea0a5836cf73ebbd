"""Worker threads: real ones, held at events; the clock stands still."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from fakes.clock import FakeClock

from edge_agent.daemon import heartbeat
from edge_agent.daemon.worker import Worker

#: A real thread that does not do its part in this time never will.
FAR_S = 60.0
PATIENCE_S = 30.0
NEVER = float("inf")


class Steps:
    """A step that does what the test says, and lets it wait for the n-th."""

    def __init__(self, act: Callable[[int], float] = lambda _: NEVER) -> None:
        self.act = act
        self.count = 0
        self._stepped = threading.Condition()

    def __call__(self, now: float) -> float:
        with self._stepped:
            self.count += 1
            self._stepped.notify_all()
        return self.act(self.count)

    def wait_for(self, count: int) -> None:
        with self._stepped:
            assert self._stepped.wait_for(lambda: self.count >= count, FAR_S)


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Those put in here are stopped at the end."""
    made: list[Worker] = []
    yield made
    for worker in made:
        worker.stop()
        assert worker.join(FAR_S)


def start(workers: list[Worker], clock: FakeClock, step: Callable[[float], float]) -> Worker:
    worker = Worker("poller", step, clock, patience_s=PATIENCE_S)
    workers.append(worker)
    worker.start()
    return worker


def test_worker_waits_until_woken(workers: list[Worker], clock: FakeClock) -> None:
    """A step that asks for nothing is not called again before somebody wakes it."""
    steps = Steps()
    worker = start(workers, clock, steps)
    steps.wait_for(1)
    worker.wake()
    steps.wait_for(2)
    worker.stop()
    assert worker.join(FAR_S)
    assert steps.count == 2


def test_worker_that_is_due_at_once_steps_again(workers: list[Worker], clock: FakeClock) -> None:
    """Also when the time it asked for is past."""
    steps = Steps(lambda count: clock.monotonic() - 5 if count < 3 else NEVER)
    start(workers, clock, steps)
    steps.wait_for(3)


def test_worker_last_act_comes_after_the_step_it_is_at(
    workers: list[Worker], clock: FakeClock
) -> None:
    """A stop in the middle of a step: first that, then the last act, in the same thread."""
    entered, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def step(now: float) -> float:
        entered.set()
        assert go_on.wait(FAR_S)
        order.append("step")
        return NEVER

    worker = start(workers, clock, step)
    assert entered.wait(FAR_S)
    worker.stop(lambda: order.append(threading.current_thread().name))
    assert not worker.join(0.0)
    go_on.set()
    assert worker.join(FAR_S)
    assert order == ["step", "poller"]


def test_worker_step_that_raises_is_told_once_and_the_thread_lives_on(
    workers: list[Worker], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The same error again is no news; a success in between makes it news."""
    outcomes = iter(["bang", "bang", "", "bang", "other", "end"])

    def act(_: int) -> float:
        said = next(outcomes)
        if said and said != "end":
            raise ZeroDivisionError(said)
        return NEVER

    steps = Steps(act)
    with caplog.at_level(logging.ERROR):
        worker = start(workers, clock, steps)
        for count in range(1, 6):
            steps.wait_for(count)
            worker.wake()
        steps.wait_for(6)
        worker.stop()
        assert worker.join(FAR_S)
    assert worker.errors_total == 4
    told = [record.getMessage() for record in caplog.records]
    assert [line.split("'")[1] for line in told] == ["bang", "bang", "other"]


def test_worker_that_waits_makes_progress_until_the_time_it_named(
    workers: list[Worker], clock: FakeClock
) -> None:
    """A flusher waiting out a back-off of 15 minutes is not stuck; one that overslept is."""
    asked = clock.monotonic() + 900
    steps = Steps(lambda _: asked)
    worker = start(workers, clock, steps)
    steps.wait_for(1)
    worker.wake()  # The second step begins when the first one's wait has.
    steps.wait_for(2)
    clock.advance(PATIENCE_S + 1)
    worker.wake()
    steps.wait_for(3)
    assert worker.overdue_s(asked) == 0.0
    assert worker.overdue_s(asked + 2 * PATIENCE_S) > 0.0


def test_worker_stuck_in_a_call_is_overdue_and_its_whereabouts_are_named(
    workers: list[Worker], clock: FakeClock
) -> None:
    """The watchdog's reason: the innermost function of ours, and the stack to it."""
    stuck_worker, go_on = _stuck(workers, clock)
    now = clock.monotonic()
    assert heartbeat.stuck([stuck_worker], now + PATIENCE_S) == []
    assert heartbeat.stuck([stuck_worker], now + PATIENCE_S + 1) == [stuck_worker]
    assert heartbeat.whereabouts(stuck_worker) == "worker._guarded"
    assert ":send_slowly > threading.py:" in heartbeat.stack(stuck_worker)
    go_on.set()


def test_heartbeat_of_a_thread_that_has_ended_has_no_stack(
    workers: list[Worker], clock: FakeClock
) -> None:
    """Nothing to show, and nothing that raises."""
    worker = start(workers, clock, Steps())
    worker.stop()
    assert worker.join(FAR_S)
    assert (heartbeat.whereabouts(worker), heartbeat.stack(worker)) == ("nothing of ours", "")


def test_worker_started_late_is_not_overdue(clock: FakeClock) -> None:
    """The flusher of a new configuration waits for the old one before it starts."""
    worker = Worker("flusher", Steps(), clock, patience_s=PATIENCE_S)
    clock.advance(10 * PATIENCE_S)
    # A thread that has begun, and not come to its first step yet.
    worker._thread = threading.Thread(target=lambda: None)
    worker.start()
    assert worker.overdue_s(clock.monotonic()) == 0.0
    worker._thread.join()


def _stuck(workers: list[Worker], clock: FakeClock) -> tuple[Worker, threading.Event]:
    """A worker whose step does not come back until the event is set."""
    entered, go_on = threading.Event(), threading.Event()

    def send_slowly(now: float) -> float:
        entered.set()
        assert go_on.wait(FAR_S)
        return NEVER

    worker = start(workers, clock, send_slowly)
    assert entered.wait(FAR_S)
    return worker, go_on
