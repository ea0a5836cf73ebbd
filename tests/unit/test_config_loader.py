"""The configuration from its files: every mistake at once, with its place; and what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.drivers import DRIVERS, ChipOptions, ProbeOptions

from edge_agent.config import document
from edge_agent.config.loader import Loaded, load
from edge_agent.config.model import Config, Ttl
from edge_agent.config.sensors import Drivers
from edge_agent.config.shape import MOST_ERRORS
from edge_agent.errors import ConfigError
from edge_agent.processing.valid import Valid
from edge_agent.sensors.base import Sensor
from edge_agent.types import Priority

Load = Callable[..., Loaded]


def test_load_of_a_missing_file_says_so(tmp_path: Path):
    """One sentence with the path."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "x.yaml", {}, DRIVERS)
    assert caught.value.problems == (
        f"{tmp_path}/x.yaml: cannot be read: No such file or directory",
    )


@pytest.mark.parametrize("place", ["/", "."])
def test_load_of_a_directory_says_so(place: str):
    """Also of one that has no name to make that of the fragments from."""
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        load(Path(place), {}, DRIVERS)


def test_load_of_more_than_can_be_kept_in_one_file_is_refused(problems: Callable[..., list[str]]):
    """Each file is small enough; the last good copy, which has all of it, could not be read."""
    label = "x" * (document.MOST_BYTES // 2)
    found = problems(
        f"device: {{labels: {{a: {label}}}}}\n", b=f"device: {{labels: {{b: {label}}}}}"
    )
    assert found == ["agent.yaml:1:1: is more than 256 KiB as it is kept, with what agent.d adds"]


@pytest.mark.parametrize(
    "text",
    [
        "sensors: [" + "{type: chip}, " * 1100 + "]",
        "sensors: [{name: a, type: probe, pin: 1, filters: [" + "{}, " * 1100 + "]}]",
        "".join(f"k{number}: 1\n" for number in range(1100)),
    ],
    ids=["sensors", "items", "keys"],
)
def test_load_names_no_more_problems_than_anybody_mends_at_once(
    problems: Callable[..., list[str]], text: str
):
    """The first thousand; each is a line in the journal."""
    found = problems(text)
    assert len(found) == MOST_ERRORS + 1
    assert found[-1] == "agent.yaml: there is more to mend once this is"


def test_load_repeats_no_name_that_is_far_too_long(problems: Callable[..., list[str]]):
    """Each of the problems inside would, and together they would be longer than any file."""
    name = "x" * 10_000
    found = problems(f"sensors: [{{name: {name}, type: probe, filters: [{'{}, ' * 9}]}}]\n")
    assert len(found) == 11
    assert max(map(len, found)) < 400
    found = problems(f"sensors: [{{name: a, type: chip, channels: {{{name}: {{b: 1, c: 2}}}}}}]\n")
    assert max(map(len, found)) < 400


def test_load_looks_a_type_up_once(tmp_path: Path):
    """To look among plugins is to read every installed distribution's metadata."""
    asked = []

    def find(name: str) -> type[Sensor]:
        asked.append(name)
        return DRIVERS.find(name)

    (tmp_path / "agent.yaml").write_text("sensors: [" + "{type: chop}, " * 9 + "]")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {}, Drivers(find, DRIVERS.type_names))
    assert asked == ["chop"]
    assert sum("no type of sensor" in problem for problem in caught.value.problems) == 9


def test_load_never_shows_a_secret(problems: Callable[..., list[str]]):
    """Whatever is wrong with it, and with whatever stands where a secret may."""
    found = problems(
        "device: {id: '${KEY}'}\n"
        "upload:\n  endpoint: 'https://u:sesame@[x'\n  api_key: [sesame]\n  api_key_file: sesame\n"
        "  headers: {X: [sesame]}\n  proxy: u:sesame@host\n  timeout: '${KEY}'\n",
        {"KEY": "open sesame"},
    )
    assert len(found) == 7
    assert not [problem for problem in found if "sesame" in problem]


def test_config_in_a_repr_or_a_kept_copy_has_no_expanded_secret(load_text: Load):
    """What may be logged and what is written to disk."""
    text = "upload: {api_key: '${KEY}', headers: {X: '${KEY}'}}\n"
    loaded = load_text(text, {"KEY": "sesame"})
    assert loaded.config.upload.api_key == "sesame"
    assert "sesame" not in repr(loaded)
    assert "sesame" not in loaded.text_for_last_good


def test_load_of_an_almost_empty_file_gives_the_declared_defaults(load_text: Load):
    """Nothing but defaults, and empty values count as absent."""
    loaded = load_text(
        "upload:\n  endpoint:\n  tls: {ca_file: }\n  headers: {X: }\n"
        "device: {labels: {site: }}\nsensors:\nqueue: {ttl: }\n"
    )
    assert loaded.config == Config()


def test_load_written_defaults_are_the_defaults(load_text: Load):
    """What the reference page shows as default can be written, and changes nothing."""
    text = (
        "queue: {ttl: {critical: 90d, anomaly: 90d, telemetry: 30d, logs: 7d}, durability: full,\n"
        "  commit_interval: 1s, path: /var/lib/pyvorin/sync_queue.db}\n"
        "upload: {batch_size: 50, max_body: 1MiB, interval: 60s, retry_delay: 60s,\n"
        "  max_retry_delay: 15min, connect_timeout: 15s, timeout: 30s, compression: gzip}\n"
        "health: {report_interval: 5min, upload_interval: 15min}\n"
    )
    assert load_text(text).config == Config()


def test_load_expands_the_environment_in_texts(load_text: Load):
    """Values, not keys; two dollars are one; a missing key file is no error."""
    loaded = load_text(
        "device: {id: 'a${SITE}', labels: {'${SITE}': '$${SITE} ${SITE} $5'}}\n"
        "upload: {interval: '${EVERY}', api_key_file: /nowhere/key}\n",
        {"SITE": "lyon", "EVERY": "5s"},
    )
    assert loaded.config.device.id == "alyon"
    assert type(loaded.config.device.id) is str
    assert loaded.config.device.labels == {"${SITE}": "${SITE} lyon $5"}
    assert loaded.config.upload.interval_s == 5.0


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.9:80/", "http://[::1]/", "http://localhost/x", "https://x/"]
)
def test_load_takes_plain_http_to_this_machine(load_text: Load, endpoint: str):
    """Nobody is on the way there."""
    loaded = load_text(f"upload: {{endpoint: '{endpoint}'}}\n")
    assert loaded.config.upload.endpoint == endpoint


def test_load_takes_one_ttl_for_all(load_text: Load):
    """One duration in place of the mapping."""
    ttl = load_text("queue: {ttl: 2d}\n").config.queue.ttl
    assert ttl == Ttl(172_800.0, 172_800.0, 172_800.0, 172_800.0)
    assert ttl.of(Priority.LOGS) == 172_800


def test_load_builds_sensors_with_their_drivers_options(load_text: Load):
    """Intervals, channels and public names are complete; options are the driver's own type."""
    chip, probe = load_text(
        "defaults: {interval: 7s}\n"
        "sensors:\n"
        "  - {name: room, type: chip, address: 0x77, interval: 1s, metadata: {zone: A},\n"
        "     channels: {humidity: {name: damp, valid: {min: 0, max: 100}}}}\n"
        "  - {name: soil, type: probe, pin: 4, valid: {max: 3}}\n"
    ).config.sensors
    assert (chip.interval_s, chip.options) == (1.0, ChipOptions(1, 0x77))
    assert [chip.public_name(c) for c in chip.channels] == ["room.temperature", "damp"]
    assert chip.channels["humidity"].valid == Valid(0, 100)
    assert (probe.interval_s, probe.options) == (7.0, ProbeOptions(4, 0.1))
    assert probe.public_name("") == "soil"
    assert probe.channels[""].valid == Valid(None, 3)


def test_load_merges_fragments_in_name_order(load_text: Load, tmp_path: Path):
    """Mappings merge, sensors append, and a fragment may have everything commented out."""
    loaded = load_text(
        "device: {id: x}\nsensors: [{name: a, type: chip}]\nupload:\n",
        b="sensors: [{name: c, type: probe, pin: 2}]\nupload: {timeout: 20s}\n",
        a="sensors: [{name: b, type: probe, pin: 1}]\ndevice: {labels: {x: 1}}\n",
        c="# nothing\n",
    )
    assert [sensor.name for sensor in loaded.config.sensors] == ["a", "b", "c"]
    assert loaded.config.device.id == "x"
    assert loaded.config.device.labels == {"x": 1}
    assert loaded.config.upload.timeout_s == 20.0
    assert [file.name for file in loaded.files] == ["agent.yaml", "a.yaml", "b.yaml", "c.yaml"]


def test_load_of_fragments_that_disagree_names_both_places(problems: Callable[..., list[str]]):
    """Nothing is silently overruled, and places are those of the file it stands in."""
    found = problems(
        "device: {id: x}\nsensors: [{name: a, type: probe, pin: 1}]\n",
        a="device:\n  id: y\nsensors:\n  - {name: a, type: probe, pin: 99}\n",
        b="sensors: 5\n",
    )
    assert found == [
        "agent.d/a.yaml:2:3: device.id: is given twice; the first is at agent.yaml:1:10",
        "agent.d/a.yaml:4:12: sensors.a.name: 'a' is already a sensor's name, at agent.yaml:2:18",
        "agent.d/a.yaml:4:33: sensors.a.pin: 99 is more than 27, the most allowed",
        "agent.d/b.yaml:1:1: sensors: is given twice; the first is at agent.yaml:2:1",
    ]


def test_load_with_an_unreadable_fragment_complains_of_reading_alone(
    problems: Callable[..., list[str]],
):
    """What seems to be missing may stand in the part that could not be read."""
    found = problems("sensors: [{name: a}]\n", a="\tx: 1\n", b="- 1\n")
    assert found == [
        "agent.d/a.yaml:1:1: a tab cannot indent in YAML; use spaces",
        "agent.d/b.yaml:1:1: begins with no key; write it like 'log: {level: info}'",
    ]
