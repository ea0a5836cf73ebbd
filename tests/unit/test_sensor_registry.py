"""The registry: our drivers by name, others' by entry point, and what a broken plugin says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, SensorError
from edge_agent.sensors import registry
from edge_agent.sensors.base import Sensor, Surroundings

OWN = (
    "aht20",
    "bme280",
    "htu21d",
    "lm75",
    "mcp9808",
    "sht3x",
    "sht4x",
    "simulated",
    "system",
    "tmp117",
)

PROBE = """
import dataclasses
from edge_agent.sensors.base import Sensor

@dataclasses.dataclass(frozen=True)
class Empty:
    pass

class Probe(Sensor):
    Options = Empty
    bus_name = "probe"
    channels = ()
    def __init__(self, options, surroundings): pass
    def trigger(self): return 0.0
    def read(self): return []
    def close(self): pass

class Half(Probe):
    Options = dict

class Unfinished(Sensor):
    Options = Empty

@dataclasses.dataclass(frozen=True)
class Inputs:
    channels: dict = dataclasses.field(default_factory=dict)

@dataclasses.dataclass
class Loose:
    gain: int = 1

class Many(Probe):
    Options = Inputs
    ChannelOptions = Empty

class Homeless(Probe):
    ChannelOptions = Empty

class Thawed(Probe):
    Options = Inputs
    ChannelOptions = Loose

class Scalar(Probe):
    Options = Inputs
    ChannelOptions = int
"""


PROBE += """
class Greedy(Probe):
    def __init__(self, options, surroundings):
        raise RuntimeError("no libprobe.so")

class Adrift(Probe):
    bus_name = None
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution with plugins, good and bad, as pip leaves it on the path."""
    (tmp_path / "acme_probe.py").write_text(PROBE)
    (tmp_path / "acme_crash.py").write_text("raise RuntimeError('no libprobe.so')")
    info = tmp_path / "acme_probes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-probes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[edge_agent.sensors]\n"
        "acme = acme_probe:Probe\n"
        "adrift = acme_probe:Adrift\n"
        "bme280 = acme_probe:Probe\n"
        "crashes = acme_crash:Probe\n"
        "greedy = acme_probe:Greedy\n"
        "half = acme_probe:Half\n"
        "homeless = acme_probe:Homeless\n"
        "many = acme_probe:Many\n"
        "misnamed = acme_probe:Prob\n"
        "missing = acme_absent:Probe\n"
        "module = acme_probe\n"
        "scalar = acme_probe:Scalar\n"
        "thawed = acme_probe:Thawed\n"
        "unfinished = acme_probe:Unfinished\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("acme_probe", "acme_crash"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("type_name", OWN)
def test_find_own_type_gives_a_driver_with_options(type_name: str) -> None:
    """Ready to be built."""
    driver = registry.find(type_name)

    assert issubclass(driver, Sensor)
    assert driver.Options()
    assert driver.channel_names(driver.Options())


def test_find_unknown_type_is_a_key_error() -> None:
    """The configuration says it with a suggestion; it knows where the name stands."""
    with pytest.raises(KeyError, match="bme820"):
        registry.find("bme820")


def test_type_names_without_plugins_are_ours_sorted() -> None:
    """What `sensors types` lists."""
    assert set(OWN) <= set(registry.type_names())
    assert list(registry.type_names()) == sorted(registry.type_names())


@pytest.mark.usefixtures("install")
def test_type_names_include_plugins_broken_ones_too() -> None:
    """Each once, without importing any."""
    names = registry.type_names()

    assert {"acme", "crashes", "missing", *OWN} <= set(names)
    assert names.count("bme280") == 1
    assert "acme_crash" not in sys.modules


@pytest.mark.usefixtures("install")
@pytest.mark.parametrize(
    ("type_name", "why"),
    [
        ("greedy", "RuntimeError: no libprobe.so"),
        ("adrift", "TypeError: its bus_name is no text"),
    ],
)
def test_build_driver_that_cannot_be_built_is_a_sensor_that_says_so(
    type_name: str, why: str
) -> None:
    """It is faulty at each turn; the agent, and the other sensors, go on."""
    options = registry.find(type_name).Options()
    sensor = registry.build(type_name, options, Surroundings(bus=lambda _: None))  # type: ignore[arg-type, return-value]  # asks for none
    assert isinstance(sensor.bus_name, str)
    for _ in range(2):
        with pytest.raises(SensorError, match=why) as caught:
            sensor.trigger()
        assert caught.value.reason == "driver"
        sensor.close()


@pytest.mark.usefixtures("install")
def test_find_plugin_gives_its_driver() -> None:
    """By the name of its entry point."""
    assert registry.find("acme").__name__ == "Probe"
    assert registry.find("many").__name__ == "Many"


@pytest.mark.usefixtures("install")
def test_find_own_type_is_not_replaced_by_a_plugin() -> None:
    """An installed package cannot change what `bme280` means."""
    assert registry.find("bme280").__name__ == "Bme280"


@pytest.mark.usefixtures("install")
@pytest.mark.parametrize(
    ("type_name", "why"),
    [
        ("crashes", "RuntimeError: no libprobe.so"),
        ("half", "no complete Sensor"),
        ("homeless", "no complete Sensor"),
        ("scalar", "no complete Sensor"),
        ("thawed", "no complete Sensor"),
        ("misnamed", "AttributeError"),
        ("missing", "acme_absent"),
        ("module", "no complete Sensor"),
        ("unfinished", "no complete Sensor"),
    ],
)
def test_find_broken_plugin_is_a_config_error_that_names_it(type_name: str, why: str) -> None:
    """A named error of the configuration, not a crash of the agent."""
    with pytest.raises(ConfigError) as caught:
        registry.find(type_name)

    message = str(caught.value)
    assert f"'{type_name}'" in message
    assert "acme-probes" in message
    assert why in message


def test_find_own_type_imports_neither_hardware_nor_package_metadata() -> None:
    """What an agent does not use it does not pay for: importing, finding, building."""
    program = """
import sys
from edge_agent.sensors import registry
after_import = set(sys.modules)
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.i2c import Buses
for name in sys.argv[1:]:
    driver = registry.find(name)
    driver(driver.Options(), Surroundings(bus=Buses()))
heavy = {"smbus2", "gpiozero", "lgpio", "spidev", "RPi", "importlib.metadata", "requests"}
print(sorted(heavy & set(sys.modules)), "edge_agent.sensors.simulated" in after_import)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *OWN], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[] False"
