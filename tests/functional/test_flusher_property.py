"""Any answers, cuts, crashes, restarts and persons; then a sound server: each reading has one end.

The moves are drawn at random; what must hold is looked at with each request and after each move.
"""

from __future__ import annotations

from typing import Any

import pytest
from fakes.rig import CAP_S, INTERVAL_S
from fakes.world import ANSWERS, BATCH, POISONS, a_world
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.daemon.turns import OLDEST_FIRST, ORDERS
from edge_agent.types import Priority

PUT = st.tuples(
    st.just("put"),
    st.sampled_from(list(Priority)),
    st.integers(1, 7),
    st.sampled_from(["", "", "", *POISONS]),
)
SAY = st.tuples(st.just("say"), st.sampled_from(sorted(ANSWERS)), st.integers(1, 7))
MOVES = st.one_of(
    PUT,
    PUT,
    SAY,
    SAY,
    st.tuples(st.just("run"), st.sampled_from([0.0, 1.0, 7.0, INTERVAL_S, 1000.0, 4 * CAP_S])),
    st.tuples(st.just("run"), st.sampled_from([0.0, 1.0, 7.0, INTERVAL_S, 1000.0, 4 * CAP_S])),
    st.tuples(
        st.just("act"),
        st.sampled_from(
            ["crash", "flush_now", "link_returned", "another_key", "step_clock", "export"]
        ),
    ),
    st.tuples(st.just("reload"), st.sampled_from(ORDERS), st.sampled_from([None, None, 0, 3])),
    st.tuples(st.just("purge"), st.integers(0, 6)),
)


@given(
    moves=st.lists(MOVES, max_size=40),
    draw=st.sampled_from([0.05, 0.3, 1.0]),
    synchronized=st.booleans(),
)
def test_flusher_whatever_happens_each_reading_has_one_end(
    tmp_path_factory: pytest.TempPathFactory,
    moves: list[tuple[Any, ...]],
    draw: float,
    synchronized: bool,
) -> None:
    """Delivered, or dead by a verdict on it alone, or taken by a person."""
    with a_world(tmp_path_factory, draw, synchronized=synchronized) as world:
        for name, *values in moves:
            match name:
                case "put":
                    world.put(*values)
                case "say":
                    world.server.script.extend([ANSWERS[values[0]]] * values[1])
                case _:
                    getattr(world, name)(*values)
            world.check()
        world.finish()


@pytest.mark.fault(
    "condemning server",
    "bad deployment",
    "wrong schema",
    how="any sequence of readings and reloads while everything is refused, in any words",
    part="the flusher before a server without a network",
)
@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(list(Priority)), st.integers(1, 9)),
            st.sampled_from([1.0, INTERVAL_S, 300.0, CAP_S]),
            st.just("reload"),
        ),
        max_size=20,
    ),
    ways=st.lists(st.sampled_from(["refuse", "too_large", "reject_all"]), min_size=1, max_size=9),
    accepted=st.booleans(),
)
def test_flusher_server_that_condemns_everything_for_a_while_costs_nothing(
    tmp_path_factory: pytest.TempPathFactory, moves: list[Any], ways: list[str], accepted: bool
) -> None:
    """In whatever words, before or after it took something, and with reloads in between."""
    with a_world(tmp_path_factory) as world:
        if accepted:
            world.put(Priority.ANOMALY, 1)
            world.run(0.0)
        world.server.script.extend(ANSWERS[way] for way in ways * 500)
        world.put(Priority.TELEMETRY, 2 * BATCH)
        for move in moves:
            if isinstance(move, tuple):
                world.put(*move)
            elif move == "reload":
                world.reload(OLDEST_FIRST, None)
            else:
                world.run(move)
        world.put(Priority.ANOMALY, 2 * BATCH)
        world.run(2 * CAP_S)
        assert world.dead() == set()
        assert world.server.script, "the server has stopped refusing too early"
        world.finish()
        assert len(world.server.taken) == len(world.items)
