"""The verdict table against the real agent: a server plays each row, the books are compared."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.delivery import BACKLOG, Delivery, Row
from fakes.processes import until

#: With a reading, the ninth, of a sensor that the server will not have.
POISONED = (*BACKLOG, "poison", *BACKLOG)
POISON = "where: {sensor_name: poison}"
#: Answers take milliseconds; only a server that says nothing is slower than that.
IMPATIENT = {"timeout": "1s"}


def status(status: int, *more: str) -> str:
    """A step that answers so."""
    return f"{{{', '.join((f'do: status, status: {status}', *more))}}}"


def down(reason: str) -> list[str]:
    """The journal of a link that went and came back."""
    return [f'link_down reason="{reason}', "link_up after_s="]


def held(reason: str) -> list[str]:
    """The journal of an endpoint that was left alone for a time."""
    return [f'endpoint_held reason="{reason}', "endpoint_ready after_s="]


def suspended(reason: str) -> list[str]:
    """The journal of an endpoint or a key that was wrong for a time."""
    return [f'suspended reason="{reason}', "resumed after_s="]


ROWS = {
    # -- taken
    "2xx, no body": Row([status(204, "store: true", "requests: 1")]),
    "2xx, empty body": Row([status(200, "store: true", "requests: 1")]),
    "2xx, no verdicts": Row([status(202, "body: ok", "store: true", "requests: 1")]),
    # -- verdicts on items
    "one rejected": Row(
        [f"{{do: reject, {POISON}, reason: no such sensor}}"],
        ['dead_letter id=9 reason="no such sensor"'],
        POISONED,
        dead=[9],
    ),
    "all rejected": Row(
        ["{do: reject, requests: 3}"],
        suspended("refuses everything: refused by the script"),
    ),
    "some to be retried, twice": Row(["{do: retry, where: {sensor_name: door}, requests: 2}"]),
    "ids never sent": Row(["{do: wrong_ids, requests: 2}"], ["unknown_ids entries="]),
    # -- somebody in between
    "captive portal": Row(["{do: portal, requests: 2}"], down("captive_portal: a web page")),
    "3xx elsewhere": Row(
        ["{do: redirect, to: 'https://portal.invalid/', requests: 1}"],
        down("captive_portal: HTTP 302 to another host"),
    ),
    "3xx on this host": Row(["{do: redirect, requests: 1}"], suspended("HTTP 302")),
    # -- not believed: halved and sent again, and at last one alone counts as taken
    "over 64 KiB": Row(
        ["{do: large_answer, size: 65KiB, requests: 5}"],
        ['answer_not_believed reason="the answer is longer than 64 KiB"'],
    ),
    "no JSON": Row(
        ["{do: bad_json, requests: 5}"],
        ['answer_not_believed reason="the answer begins like JSON and is none"'],
    ),
    # -- compression
    **{
        f"{number} to gzip": Row([status(number, "gzip: true")], ["gzip_refused do="])
        for number in (400, 415, 422)
    },
    # -- refused
    **{
        f"{number} to poison": Row(
            [status(number, "body: bad unit", POISON)],
            [f'dead_letter id=9 reason="HTTP {number} bad unit"'],
            POISONED,
            dead=[9],
        )
        for number in (400, 422)
    },
    "400 to all, from the first": Row(
        [status(400, "requests: 8")],
        suspended("refuses everything: HTTP 400"),
        upload={"compression": "none"},
    ),
    "400 to all, for a while": Row(
        ["{do: normal, requests: 1}", status(400, "requests: 14")],
        [
            *["dead_letter id="] * 4,
            "dead_letters_restored items=4",
            *suspended("refuses everything: HTTP 400"),
        ],
    ),
    "413 to one item": Row(
        [status(413, "over_size: 2KiB")],
        ['dead_letter id=9 reason="HTTP 413"'],
        (*BACKLOG, "x" * 3000, *BACKLOG),
        dead=[9],
    ),
    # -- later
    "409": Row([status(409, "requests: 2")], held("HTTP 409")),
    **{
        f"{number}": Row([status(number, "requests: 2")], held(f"HTTP {number}"))
        for number in (408, 425, 429, 500, 502, 503, 504)
    },
    # -- endpoint or key is wrong
    **{
        f"{number}": Row([status(number, "requests: 2")], suspended(f"HTTP {number}"))
        for number in (304, 401, 403, 404, 405, 407, 410, 415, 418, 501)
    },
    # -- no answer
    "reset": Row(["{do: lose_answer, store: false, requests: 1}"], down("reset: ")),
    "reset, but stored": Row(["{do: lose_answer, requests: 1}"], down("reset: ")),
    "ended, but stored": Row(["{do: lose_answer, reset: false, requests: 1}"], down("reset: ")),
    "reset in the answer": Row(["{do: cut_answer, reset: true, requests: 1}"], down("reset: ")),
    "ended in the answer": Row(["{do: cut_answer, requests: 1}"], down("reset: ")),
    "hangs": Row(["{do: hang, store: false, requests: 2}"], down("timeout: "), upload=IMPATIENT),
    "hangs, but stored": Row(["{do: hang, requests: 1}"], down("timeout: "), upload=IMPATIENT),
    "drips": Row(["{do: drip, every: 100ms, requests: 1}"], down("timeout: "), upload=IMPATIENT),
    "is deaf": Row(["{do: deaf, requests: 1}"], down("timeout: "), upload=IMPATIENT),
}


@pytest.mark.fault(
    "server",
    "hangs",
    "drips one byte a second",
    "answers 200 to everything with HTML",
    "redirects",
    "invalid JSON",
    "wrong ids in the verdict",
    "every status of the verdict table",
    "stores, and its answer is lost",
    how="a scripted receiver gives each answer of the verdict table",
)
@pytest.mark.fault(
    "network",
    "reset mid-answer",
    how="a scripted receiver resets the connection in its answer, which was stored or not",
)
@pytest.mark.fault(
    "condemning server",
    "bad deployment",
    "gzip not understood",
    "wrong schema",
    how="400 to all, 400, 415 and 422 to gzip, a verdict that rejects every item",
)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_answer_draws_the_fate_of_its_row_and_its_lines_in_the_journal(
    delivery: Delivery, row: Row
) -> None:
    """Every reading is in one place, once; the ledger says the same; nobody had to help."""
    delivery.serve(*row.steps)
    delivery.play(row)


@pytest.mark.parametrize("form", ["retry_after: 1s", "retry_after: 2s, as_date: true"])
@pytest.mark.parametrize("number", [408, 425, 429, 503])
def test_endpoint_that_names_a_time_is_left_alone_until_then(
    delivery: Delivery, number: int, form: str
) -> None:
    """Readings come all the while, and the short back-off is long over: it is asked once."""
    # Two requests, one right after the other; the time begins with the second.
    delivery.serve("{do: normal, requests: 1}", status(number, form, "time: 900ms"))
    delivery.play(Row(journal=held(f"HTTP {number}"), upload={"batch_size": 4}))
    assert delivery.receiver.endpoint.answers[number] == 1


def test_item_that_is_wanted_again_comes_again(delivery: Delivery) -> None:
    """A 207 names one, and stored it all the same: it comes once more, and is recognised."""
    delivery.serve(status(207, "body: '{\"retry\": [2]}'", "store: true", "requests: 1"))
    delivery.run()
    until(lambda: delivery.receiver.store.totals().repeated, "the item that is wanted again")
    delivery.end(Row())
    assert delivery.receiver.store.totals().repeated == 1


@pytest.mark.fault("network", "refused", how="the receiver's port is closed, and opened later")
def test_port_that_nobody_listens_on(delivery: Delivery) -> None:
    """Refused until somebody does."""
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 0))
        delivery.run(endpoint="http://{}:{}/v1/ingest".format(*port.getsockname()))
        delivery.agent.wait_for("link_down")
        delivery.serve(address=port.getsockname())
    row = Row(journal=down("refused: "))
    delivery.wait(row)
    delivery.end(row)


def test_batch_in_progress_comes_again_under_its_key(delivery: Delivery) -> None:
    """Stored at the first 409: two more requests, and no key more."""
    delivery.serve(status(409, "store: true", "requests: 2"))
    delivery.play(Row(journal=held("HTTP 409")))
    store = delivery.receiver.store
    (keys,) = store._connection.execute("SELECT count(*) FROM answers").fetchone()
    assert store.totals().repeated == 2 * len(BACKLOG)
    assert store.totals().requests == keys + 2


def test_byte_limit_that_a_server_teaches_is_kept(delivery: Delivery) -> None:
    """413 to the first batch and to its halves; never again, while items may grow to be more."""
    delivery.serve(status(413, "over_size: 2KiB"))
    delivery.play(Row(backlog=BACKLOG * 40))
    assert delivery.receiver.endpoint.answers[413] == 3


def test_new_key_in_its_file_is_used_at_once(delivery: Delivery, tmp_path: Path) -> None:
    """401 and an hour to wait; the hour is not waited for."""
    file = tmp_path / "api_key"
    file.write_text("old\n")
    file.chmod(0o600)
    delivery.serve(api_key="new")
    long = {"retry_delay": "1h", "max_retry_delay": "1h"}
    delivery.run(auth="bearer", api_key_file=str(file), **long)
    told = delivery.agent.wait_for("suspended")
    assert re.search(r"next_try_s=3600 .*API key", told)
    assert delivery.received() == set()
    file.write_text("new\n")
    row = Row(journal=suspended("HTTP 401"))
    delivery.wait(row)
    delivery.end(row)
    assert delivery.receiver.endpoint.answers[401] == 1


def test_item_that_draws_server_errors_holds_up_nobody(delivery: Delivery) -> None:
    """Five 500s, another batch passes, the first is split; at last one item waits alone."""
    delivery.serve(status(500, POISON))
    row = Row(backlog=POISONED, waiting=[9])
    delivery.run(row.backlog)
    until(lambda: row.complete(delivery.received()), "all but the poison")
    assert delivery.end(row, settled=False)[0] == 9
    assert_in_turn(delivery, "endpoint_held", "endpoint_ready")


@pytest.mark.fault(
    "server",
    "1 GB answer",
    "gzip bomb",
    how="a scripted receiver answers with a gigabyte, plain and packed",
)
@pytest.mark.parametrize("packed", ["false", "true"])
def test_answer_of_a_gigabyte_costs_no_memory(
    delivery: Delivery, packed: str, tell: Callable[[str], None]
) -> None:
    """Not believed, 64 KiB of it read; halved and delivered."""
    delivery.serve(f"{{do: large_answer, packed: {packed}, requests: 3}}")
    row = Row(journal=["answer_not_believed "])
    delivery.run()
    delivery.wait(row)
    assert delivery.agent.peak_bytes() < 128 << 20
    tell(f"{delivery.agent.peak_bytes() / (1 << 20):.0f} MiB at the most")
    delivery.end(row)


def test_link_that_flaps_costs_nothing(delivery: Delivery) -> None:
    """Refused and open in turn, three times a second; each change is one line."""
    delivery.serve("{do: refuse, time: 300ms}", "{do: normal, time: 400ms}", repeat=True)
    delivery.run()
    until(lambda: len(delivery.journal()) >= 6, "three outages")
    until(lambda: Row().complete(delivery.received()), "readings of that time")
    delivery.end(Row(), settled=False)
    assert_in_turn(delivery, "link_down", "link_up")


def test_quota_keeps_the_rest_also_over_a_restart(delivery: Delivery) -> None:
    """To the message; the journal and the status say so, and so does the next start."""
    delivery.serve()
    delivery.run(quota={"daily": {"messages": 5}})
    delivery.agent.wait_for("quota_reached")
    until(lambda: len(delivery.received()) == 5, "five readings")
    until(
        lambda: delivery.site.status()["request"]["quota_reached"] == "daily messages",
        "the status to say so",
    )
    delivery.end(Row(journal=['quota_reached quota="daily messages"']), settled=False)
    delivery.agent = delivery.site.agent()
    delivery.agent.wait_for("quota_reached")
    assert len(delivery.received()) == 5


def test_backlog_goes_newest_first_if_asked_to(delivery: Delivery) -> None:
    """What was read last arrives first; the oldest all the same."""
    delivery.serve()
    row = Row(backlog=("fridge",) * 40)
    delivery.run(row.backlog, backlog_order="newest_first", batch_size=10)
    delivery.wait(row)
    first = [item.id for item in delivery.receiver.store.items()][:10]
    assert min(first) > 30
    delivery.end(row)


def assert_in_turn(delivery: Delivery, *events: str) -> None:
    """The journal has these in turn, any number of times, and nothing else."""
    said = [line.split()[0] for line in delivery.journal()]
    assert said
    assert said == [events[place % len(events)] for place in range(len(said))]
