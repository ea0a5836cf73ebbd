"""Every row of the verdict table against the real agent: what becomes of readings and journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fakes.delivery import BACKLOG, Delivery, Row
from fakes.processes import Site, until


@pytest.fixture
def delivery(site: Site, record_property: Callable[[str, object], None]) -> Iterator[Delivery]:
    """A place to deliver from; what the journal said is in the report."""
    scene = Delivery(site)
    yield scene
    scene.close()
    for line in scene.agent.lines:
        record_property("journal", line)
        print(line)


#: With one of a sensor that the server will not have.
POISONED = (*BACKLOG, "poison", *BACKLOG)

ROWS = {
    "no body": Row(["{do: status, status: 204, store: true, requests: 1}"]),
    "an empty body": Row(["{do: status, status: 200, store: true, requests: 1}"]),
    "a body without verdicts": Row(["{do: status, status: 202, body: ok, store: true, requests: 1}"]),
    "some rejected": Row(
        ["{do: reject, where: {sensor_name: poison}, reason: no such sensor}"],
        ['dead_letter id=9 reason="no such sensor"'],
        POISONED,
        dead=[9],
    ),
    "some to be retried": Row(["{do: retry, where: {sensor_name: door}, requests: 2}"]),
    "ids never sent": Row(["{do: wrong_ids, requests: 1}"]),
    "all rejected": Row(["{do: reject, requests: 3}"], ["suspended reason=\"refuses everything: refused by the script\"", "resumed"]),
    "captive portal": Row(["{do: portal, requests: 2}"], ['link_down reason="captive_portal', "link_up"]),
    "redirect": Row(["{do: redirect, requests: 1}"], ['suspended reason="HTTP 302"', "resumed"]),
    "redirect elsewhere": Row(
        ["{do: redirect, to: 'https://portal.invalid/', requests: 1}"],
        ['link_down reason="captive_portal', "link_up"],
    ),
    "large answer": Row(["{do: large_answer, size: 65KiB, requests: 5}"]),
    "no JSON": Row(["{do: bad_json, requests: 5}"]),
    **{
        f"gzip {status}": Row([f"{{do: status, status: {status}, gzip: true, requests: 1}}"], ["gzip_refused"])
        for status in (400, 415, 422)
    },
    **{
        f"poison {status}": Row(
            [f"{{do: status, status: {status}, body: bad unit, where: {{sensor_name: poison}}}}"],
            [f'dead_letter id=9 reason="HTTP {status} bad unit"'],
            POISONED,
            dead=[9],
        )
        for status in (400, 422)
    },
    "all condemned": Row(["{do: status, status: 400, requests: 8}"], ['suspended reason="refuses everything: HTTP 400"', "resumed"]),
    "in progress": Row(["{do: status, status: 409, store: true, requests: 2}"], ['endpoint_held reason="HTTP 409"', "endpoint_ready"]),
    **{
        f"busy {status}": Row(
            ["{do: normal, requests: 1}", f"{{do: status, status: {status}, retry_after: 2s, time: 1500ms}}"],
            [f'endpoint_held reason="HTTP {status}" next_try_s=2', "endpoint_ready"],
        )
        for status in (408, 425, 429, 503)
    },
    **{
        f"suspended {status}": Row([f"{{do: status, status: {status}, requests: 2}}"], [f'suspended reason="HTTP {status}"', "resumed"])
        for status in (401, 403, 404, 405, 407, 410, 418, 501)
    },
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row(delivery: Delivery, row: Row) -> None:
    """."""
    delivery.play(row)
