"""What the README shows is what happens: its examples are run, its commands exist."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from pathlib import Path

import pytest
from fakes.pages import README, ROOT, SERVER, agent_commands, blocks, prose, tables
from fakes.processes import command

from edge_agent.cli.status import watch
from edge_agent.cloud_sync import memory, verdict
from edge_agent.config.channels import Filters
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.daemon import comeback, frozen, pending, schedule, supervisor, turns
from edge_agent.options import options_of
from edge_agent.processing import faults
from edge_agent.receiver import Receiver
from edge_agent.sensors import registry


def test_readme_configuration_is_accepted(tmp_path: Path) -> None:
    """What a reader copies must pass the checker."""
    file = tmp_path / "agent.yaml"
    accepted = []
    for text in blocks(README, "yaml"):
        file.write_text(text)
        environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "x")
        accepted.append(load(file, environ).config)
    assert any(config.sensors for config in accepted)


@pytest.mark.parametrize("page", [README, SERVER], ids=["README.md", "SERVER.md"])
def test_pages_commands_exist_with_their_options(page: str) -> None:
    """Each with the words and the options that are shown."""
    shown = agent_commands(page)
    assert len(shown) > 5
    for words, options in {as_asked(arguments) for arguments in shown}:
        said = command(*words, "--help")
        assert said.returncode == 0, words
        # argparse itself minds an unknown option only after it has helped.
        known = {*re.findall(r"(?<!\w)--?[a-z][a-z-]*", said.stdout)}
        assert {*options} <= known, words


def as_asked(arguments: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words that name a command, and the options it is given."""
    names = itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), arguments)
    options = sorted({word for word in arguments if word.startswith("-")})
    return tuple(names), tuple(options)


def test_readme_scripts_exist_and_are_what_ci_runs() -> None:
    """CI does what a newcomer is told to do."""
    told = re.findall(r"^scripts/([\w-]+)", "".join(blocks(README, "sh")), re.MULTILINE)
    assert told == ["demo", "test", "build-deb"]
    run = (ROOT / ".ci/run").read_text()
    for name in told:
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111
        # What is built there is looked at as well.
        assert f"scripts/{name.replace('build', 'check')}" in run


def test_readme_python_example_sends(tmp_path: Path) -> None:
    """Run as it stands, but for the receiver's port and the queue's place."""
    (code,) = (code for code in blocks(README, "python") if "CloudSyncQueue" in code)
    with Receiver(tmp_path / "r.db") as receiver:
        code = code.replace("http://127.0.0.1:8089/v1/ingest", receiver.url)
        code = code.replace("/tmp/my_queue.db", str(tmp_path / "q.db"))  # noqa: S108  # the README's
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # our own example
    assert printed.getvalue() == "1 sent, 0 left\n"


def test_readme_short_forms_are_what_it_says(tmp_path: Path) -> None:
    """A filter by its most usual setting, and the alarm of a contact that stays open."""
    ((short, long),) = re.findall(r"`(\{[^`]*\})` is `(\{[^`]*\})`", README)
    (alarm,) = re.findall(r"stays open: `(\{[^`]*\})`", README)
    file = tmp_path / "agent.yaml"
    file.write_text(
        f"sensors:\n  - {{name: a, type: simulated, filters: [{short}]}}\n"
        f"  - {{name: b, type: simulated, filters: [{long}]}}\n"
        f"  - {{name: door, type: contact, pin: 17, alarm: {alarm}}}\n"
    )
    first, second, door = load(file, {}).config.sensors
    assert first.channels[""].filters == second.channels[""].filters != ()
    assert [(one.above, one.for_s) for one in door.channels[""].alarms] == [(0, 120)]


def test_readme_names_the_unit_as_it_is_called() -> None:
    """Wherever systemd or its journal is asked."""
    asked = re.findall(r"(?:journalctl -u|systemctl [a-z]+) ([\w-]+)", README)
    assert len(asked) > 5
    assert {f"{name}.service" for name in asked} == {"pyvorin-agent.service"}
    assert (ROOT / "debian/pyvorin-agent.service").exists()


def test_readme_type_is_what_types_prints() -> None:
    """With its wiring and every option."""
    assert command("sensors", "types", "mcp9808").stdout in blocks(README, "text")


def test_readme_lists_every_sensor_type() -> None:
    """No more, and no less; and every filter."""
    (types,) = (table[1:] for table in tables(README) if table[0][0] == "`type`")
    names = [name for row in types for name in re.findall(r"`([a-z0-9_]+)`", row[0])]
    assert sorted(names) == sorted(registry._OWN)
    (filters,) = re.findall(
        r"^\| `filters` \| ESPHome's, in the order written: (.*?)\. ", README, re.MULTILINE
    )
    assert {*re.findall(r"`(\w+)`", filters)} == {one.key for one in options_of(Filters)}


#: What README.md and SERVER.md say in numbers, and what the code says.
NUMBERS = [
    (README, r"wait in memory \(([\d,]+) at the most\)", pending.CAPACITY),
    (README, r"used within (\d+) s if the Pi itself can tell", comeback.EVERY_S),
    (README, r"counts as well again after (\d+) s without one, then a minute", faults.FIRST_HOLD_S),
    (README, r"`queue\.ttl` \((\d+) days for telemetry\)", Config().queue.ttl.telemetry_s / 86_400),
    (README, r"telemetry is committed once (a) second", Config().queue.commit_interval_s),
    (README, r"one line of health every (\w+) minutes", Config().health.report_interval_s / 60),
    (README, r"Every (\w+) seconds it replaces", supervisor.TICK_S),
    (README, r"one request in (\w+) still carries", turns.SHARE),
    (README, r"`--history`: the last (\d+) changes", memory.HISTORY),
    (README, r"`--watch`: again every (\w+) seconds", watch.EVERY_S),
    (README, r"told as faulty after (\d+) s", schedule.HANG_S),
    (README, r"pauses grow to (\w+) minutes", schedule.LONGEST_PAUSE_S / 60),
    (SERVER, r"seconds or a date, (an) hour at the most", verdict.LONGEST_RETRY_AFTER_S / 3_600),
    (SERVER, r"from the (\w+) time on others go before", frozen.MOST_ERRORS),
    (SERVER, r"more than (\d+) KiB", verdict.MOST_ANSWER_BYTES / 1_024),
]
WORDS = {"a": 1, "an": 1, "two": 2, "five": 5, "fifth": 5, "ten": 10}


@pytest.mark.parametrize(("page", "said", "is_so"), NUMBERS, ids=lambda value: str(value)[:40])
def test_pages_say_the_numbers_of_the_code(page: str, said: str, is_so: float) -> None:
    """Nothing is remembered from an earlier version."""
    (written,) = re.findall(said, " ".join(page.split()))
    assert (WORDS.get(written) or float(written.replace(",", ""))) == is_so


@pytest.mark.parametrize("name", ["README.md", "edge_agent/receiver/SERVER.md"])
def test_pages_link_to_what_there_is(name: str) -> None:
    """Files, and headings of their own."""
    page = (ROOT / name).read_text()
    # GitHub makes anchors so: lower case, hyphens for spaces, nothing else that is no letter.
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        assert not anchor or anchor in anchors
        assert ((ROOT / name).parent / file).exists()
