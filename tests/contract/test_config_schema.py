"""Schema and reference are made from the declaration; they agree with the checker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge_agent.config import document
from edge_agent.config.channels import SensorCommon
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.config.reference import markdown
from edge_agent.config.schema import json_schema
from edge_agent.config.sensors import sections_of
from edge_agent.config.shape import inside
from edge_agent.errors import ConfigError
from edge_agent.options import options_of
from edge_agent.sensors import registry

CONFIG = Path(__file__).parents[2] / "config"
ENVIRON = {"PYVORIN_DEMO_DIR": "/run/demo", "PYVORIN_DEMO_ENDPOINT": "http://127.0.0.1:1/in"}

_ONE = "sensors: [{name: a, type: bh1750, "
ACCEPTED = [
    "device:\n",
    "upload: {endpoint: , timeout: '${T}', auth: '${A}'}\n",
    "queue: {ttl: 5d}\n",
    "queue: {ttl: {logs: 5d}}\n",
    "upload: {batch_size: 1e3, tls: {ca_file: /ca.pem}, headers: {X: a}}\n",
    "sensors: [{name: a, type: bme280, address: 0x77, bus: /dev/i2c-3}]\n",
    "sensors: [{name: a, type: bme280, channels: {temperature: {valid: {min: -4.5}}}}]\n",
    "sensors: [{name: a, type: ads1115, rate: 8, channels: {a0: {gain: 6.144, valid: }}}]\n",
    "sensors: [{name: a, type: ads1115, channels: {a0: {unit: percent, name: soil}, a3: }}]\n",
    "sensors: [{name: a, type: iio, chip: bme280, bus: 1, address: 0x76}]\n",
    "sensors: [{name: a, type: hwmon, chip: nvme, channels: {fan: {unit: hertz, name: f}}}]\n",
    "sensors: [{name: a, type: w1, id: 28-0316a2795bff, valid: {max: 80}}, {name: b, type: w1}]\n",
    "sensors: [{name: a, type: system, interval: 5s, metadata: {zone: 1}, disk: }]\n",
    "privacy: {drop: [unit, metadata.a.b], hash: [metadata.id], round: {metadata.lat: 2}}\n",
    "privacy: {drop: ['${F}'], round: {metadata.a: -1, metadata.b: }, key_file: /k}\n",
    _ONE + "filters: [{offset: 1}, {median: 5}, {median: {}}, {clamp: {max_value: 3}}]}]\n",
    _ONE + "filters: [{delta: 2%}, {delta: '${P}'}, {throttle: 60s}, {throttle: '${T}'}]}]\n",
    _ONE + "filters: [{calibrate_linear: [2.8 -> 0, '${N} -> 1']}, {round: 1.0}]}]\n",
    _ONE + "filters: , report: {every: 1h, stats: [max, last]}, anomaly: {}}]\n",
    _ONE + "report: {deadband: 0, heartbeat: 5min}, anomaly: {window: 5}}]\n",
    _ONE + "alarm: {above: 1}}]\n",
    _ONE + "alarm: [{above: 1, below: , for: 5s}, {below: 0, priority: telemetry}]}]\n",
    "sensors: [{name: a, type: bme280, channels: {humidity: {filters: [{round: 0}]}}}]\n",
    "sensors: [{name: a, type: ads1115, channels: {a0: {gain: 1.024, alarm: []}}}]\n",
]
REFUSED = [
    "devices: {}\n",
    "device: {name: x}\n",
    "device: {id: a b}\n",
    "queue: {path: here}\n",
    "queue: {ttl: 5}\n",
    "queue: {ttl: {log: 5d}}\n",
    "upload: {endpoint: example.com}\n",
    "upload: {batch_size: 0}\n",
    "upload: {batch_size: 1.5}\n",
    "upload: {compression: zip}\n",
    "upload: {allow_insecure_http: yes}\n",
    "sensors: {}\n",
    "sensors: [{type: system}]\n",
    "sensors: [{name: a, type: sytem}]\n",
    "sensors: [{name: agent.x, type: system}]\n",
    "sensors: [{name: a, type: system, address: 0x76}]\n",
    "sensors: [{name: a, type: bme280, address: 0x10}]\n",
    "sensors: [{name: a, type: bme280, channels: {temperature: {max: 3}}}]\n",
    "sensors: [{name: a, type: bme280, channels: {temperature: {gain: 4.096}}}]\n",
    "sensors: [{name: a, type: ads1115, channels: {a0: {gain: 5}}}]\n",
    "sensors: [{name: a, type: ads1115, channels: {a0: {gain: true}}}]\n",
    "sensors: [{name: a, type: ads1115, channels: {a0: {rate: 8}}}]\n",
    "sensors: [{name: a, type: ads1115, rate: 100}]\n",
    "sensors: [{name: a, type: iio, address: 0x76}]\n",
    "sensors: [{name: a, type: hwmon, chip: jc42, bus: /dev/i2c-1}]\n",
    "sensors: [{name: a, type: w1, id: 01-0316a2795bff}]\n",
    "privacy: {drop: metadata.a}\n",
    "privacy: {drop: [value]}\n",
    "privacy: {drop: [metadata.clock]}\n",
    "privacy: {drop: [metadata]}\n",
    "privacy: {hash: [value]}\n",
    "privacy: {round: {value: 1}}\n",
    "privacy: {hash: [operator]}\n",
    "privacy: {round: {metadata.lat: 16}}\n",
    "privacy: {round: {lat: 2}}\n",
    _ONE + "filters: {offset: 1}}]\n",
    _ONE + "filters: [{ofset: 1}]}]\n",
    _ONE + "filters: [{offset: 1, round: 1}]}]\n",
    _ONE + "filters: [{}]}]\n",
    _ONE + "filters: [{offset: {offset: 1}}]}]\n",
    _ONE + "filters: [{median: {size: 1}}]}]\n",
    _ONE + "filters: [{calibrate_linear: [2.8 -> 0]}]}]\n",
    _ONE + "filters: [{calibrate_linear: [2.8, 3]}]}]\n",
    _ONE + "filters: [{delta: 2 percent}]}]\n",
    _ONE + "report: {stats: []}}]\n",
    _ONE + "alarm: [{abov: 1}]}]\n",
    _ONE + "alarm: {below: 1, priority: logs}}]\n",
    _ONE + "anomaly: {window: 1}}]\n",
    "sensors: [{name: a, type: bme280, channels: {humidity: {filters: [{rund: 0}]}}}]\n",
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """The schema, proven to be one; written and read, as an editor gets it."""
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _written(folder: Path, text: str) -> Path:
    file = folder / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["agent.yaml", "demo.yaml"])
def test_shipped_file_passes_checker_and_schema(validator: Draft202012Validator, name: str):
    """They work unedited."""
    assert load(CONFIG / name, ENVIRON).config.sensors
    validator.validate(document.read(CONFIG / name).data)


def test_shipped_examples_uncommented_pass_the_checker(tmp_path: Path):
    """What a person takes the '# ' away from must be right as it stands."""
    lines = (CONFIG / "agent.yaml").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# upload:"))
    kept = [
        line.replace("# ", "", 1) if i >= start and _is_example(line) else line
        for i, line in enumerate(lines)
    ]
    config = load(_written(tmp_path, "\n".join(kept)), {}).config
    assert config.upload.endpoint is not None
    types = [sensor.type for sensor in config.sensors]
    assert types == ["system", "bme280", "contact", "pulse"]


def _is_example(line: str) -> bool:
    """Whether a comment holds YAML rather than a sentence."""
    inside = line.strip().removeprefix("# ").split(" #")[0].strip()
    return line.strip().startswith("# ") and (":" in inside) and not inside.endswith(".")


@pytest.mark.parametrize("text", ACCEPTED)
def test_schema_accepts_what_the_checker_accepts(
    validator: Draft202012Validator, tmp_path: Path, text: str
):
    """Else an editor underlines what is right."""
    file = _written(tmp_path, text)
    load(file, {"T": "20s", "A": "none", "F": "unit", "P": "3 %", "N": "3"})
    validator.validate(document.read(file).data)


@pytest.mark.parametrize("text", REFUSED)
def test_schema_refuses_what_the_checker_refuses(
    validator: Draft202012Validator, tmp_path: Path, text: str
):
    """As far as a schema can say it."""
    file = _written(tmp_path, text)
    with pytest.raises(ConfigError):
        load(file, {})
    assert not validator.is_valid(document.read(file).data)


def _keys(section: type, prefix: str) -> Iterator[str]:
    """Every key of the declaration, as the reference writes it."""
    for option in options_of(section):
        yield f"{prefix}{option.key}"
        if found := inside(option.kind):
            yield from _keys(found[1], f"{prefix}{option.key}{found[0]}")


def _explained(page: str) -> Callable[[str], bool]:
    """Whether a key has a row, or stands under one whose row says where its like are explained."""
    rows = dict(re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE))

    def explained(key: str) -> bool:
        if key in rows:
            return True
        for begin, meaning in rows.items():
            if meaning.startswith("As `") and key.startswith((f"{begin}.", f"{begin}[].")):
                return meaning[4:-2] + key.removeprefix(begin) in rows
        return False

    return explained


def test_reference_has_every_key_and_every_type():
    """A key that is not described does not exist for people."""
    page = markdown()
    sections = {option.key for option in options_of(Config)}
    keys = set(_keys(Config, "")) - sections | set(_keys(SensorCommon, "sensors[]."))
    for name in registry.type_names():
        assert f"### type: {name}\n" in page
        keys |= set(_keys(sections_of(registry.find(name))[1], "sensors[]."))
    assert "sensors[].channels.NAME.gain" in keys
    assert "sensors[].channels.NAME.filters[].median.window_size" in keys
    explained = _explained(page)
    assert [key for key in sorted(keys) if not explained(key)] == []
    assert "| `upload.timeout` | a duration: from 100ms to 10min | `30s` |" in page


@pytest.mark.parametrize("name", registry.type_names())
def test_driver_options_do_not_clash_with_what_all_sensors_have(name: str):
    """They stand side by side in one mapping."""
    common: set[Any] = {option.key for option in options_of(SensorCommon)}
    assert common.isdisjoint(option.key for option in options_of(registry.find(name).Options))


def test_contract_with_every_key_passes_checker_and_schema(
    validator: Draft202012Validator,
) -> None:
    """The configuration that users were promised: each of its keys is known."""
    file = Path(__file__).parents[1] / "testcases" / "contract" / "agent.yaml"
    config = load(file, {}).config
    assert [sensor.name for sensor in config.sensors] == [
        *("temp.cold_chain", "door", "water", "soil", "battery", "fridge", "cpu")
    ]
    validator.validate(document.read(file).data)
