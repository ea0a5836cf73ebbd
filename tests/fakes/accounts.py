"""What must hold at the end of a simulated life, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fakes.simulation import POISON_EVERY, TOLERANCE_S, World


def faults_of(world: World) -> list[str]:
    """Sentences about what does not hold; none in a life in which all went as promised."""
    return [*_books(world), *_readings(world), *_times(world), *_size(world)]


def _ours(data: dict[str, Any]) -> bool:
    """Whether it is one of the agent's own reports, and no reading of a sensor."""
    return str(data["sensor_name"]).startswith("agent.")


def _books(world: World) -> Iterator[str]:
    books = world.agent.queue.ledger()
    if not books.closes:
        yield f"the ledger does not close: {books}"
    if books.queued:
        yield f"{books.queued} rows are left, though all has been well for long"
    if books.expired:
        yield f"{books.expired} rows expired, though none is as old as its time to live"
    if books.delivered > len(world.server.taken):
        yield f"{books.delivered} count as delivered, and {len(world.server.taken)} arrived"
    if books.corrupt or books.discarded:
        yield f"rows are lost in a way that nothing here explains: {books}"


def _readings(world: World) -> Iterator[str]:
    """Nothing that was stored is gone, but by a policy that counted it; nothing is there twice."""
    numbers = [int(data["value"]) for data in world.server.taken.values() if not _ours(data)]
    arrived = set(numbers)
    if len(arrived) != len(numbers):
        yield f"{len(numbers) - len(arrived)} readings arrived under two names"
    books = world.agent.queue.ledger()
    dead = {int(value) for value in _dead(world)}
    wronged = [number for number in dead if number % POISON_EVERY != POISON_EVERY - 1]
    if wronged:
        yield f"{len(wronged)} dead letters are no poison: {wronged[:5]}"
    missing = world.book.stored - arrived - dead
    let_go = books.shed + books.thinned + books.rejected
    if len(missing) > let_go:
        yield f"{len(missing)} stored readings are gone, {let_go} by policy: {sorted(missing)[:5]}"


def _dead(world: World) -> Iterator[Any]:
    for letter in world.agent.queue.dead_letters():
        if not _ours(letter.payload):
            yield letter.payload["value"]


def _times(world: World) -> Iterator[str]:
    """Each time is as far from the truth as the clock was, or nearer, or marked."""
    wrong = []
    for data in world.server.taken.values():
        if _ours(data) or data["metadata"].get("clock") == "unsynced":
            continue
        known = world.book.readings[int(data["value"])]
        off_s = data["timestamp"] - known.at
        if abs(off_s) > abs(known.clock_error_s) + TOLERANCE_S:
            wrong.append((int(data["value"]), off_s, known.clock_error_s, data["metadata"]))
    if wrong:
        yield f"{len(wrong)} times are farther from the truth than the clock was: {wrong[:3]}"


def _size(world: World) -> Iterator[str]:
    limit = world.agent.config.queue.max_size_bytes
    if world.largest_bytes > limit:
        yield f"the queue took {world.largest_bytes} bytes of {limit}"
