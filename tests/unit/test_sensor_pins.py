"""What pins have in common: how they are written, and what is said when one cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from fakes.clock import FakeClock
from fakes.gpio import MockPins

from edge_agent.config.loader import load
from edge_agent.errors import ConfigError, SensorError
from edge_agent.sensors.gpio import pins as of_pins
from edge_agent.sensors.gpio.contact import ContactOptions
from edge_agent.sensors.gpio.pins import Input, PinNumber
from edge_agent.sensors.gpio.pulse import PulseOptions


def claim(number: int = 17, pull: str = "up") -> Input:
    return Input(number, pull, lambda _at, _closed: None, FakeClock().monotonic)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """gpiozero as at first: nobody has chosen a library for it."""
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("LG_WD", "/nowhere")
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    return monkeypatch


@pytest.mark.parametrize(("written", "number"), [(17, 17), ("GPIO17", 17), (0, 0), ("GPIO07", 7)])
def test_pin_is_a_bcm_number(written: Any, number: int) -> None:
    """With or without its prefix."""
    assert PinNumber().parse(written) == number


@pytest.mark.parametrize("written", [28, -1, True, 1.5, "17", "BOARD11", "GPIO28", "GPIO", None])
def test_pin_that_there_is_not_is_refused(written: Any) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match="is no pin; write its BCM number, 0 to 27, or GPIO17"):
        PinNumber().parse(written)


def test_pins_of_two_sensors_must_differ(tmp_path: Path) -> None:
    """However they are written; said with the place of the first."""
    config = tmp_path / "agent.yaml"
    config.write_text(
        "sensors:\n  - {name: door, type: contact, pin: 17}\n"
        "  - {name: water, type: pulse, pin: GPIO17}\n  - {name: gas, type: pulse, pin: 18}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(config, {})

    (problem,) = caught.value.problems
    assert f"{config}:3:" in problem
    assert "sensors.water.pin: GPIO17 is already a sensor's pin, at" in problem


@pytest.mark.parametrize("options", [ContactOptions, PulseOptions])
@pytest.mark.parametrize(
    ("pin", "pull", "fits"), [(2, "up", True), (3, "none", False), (4, "down", True)]
)
def test_pull_must_fit_the_boards_resistor(options: Any, pin: int, pull: str, fits: bool) -> None:
    """GPIO2 and GPIO3 are I2C's."""
    assert (not list(options(pin=pin, pull=pull).conflicts())) is fits


def test_input_with_a_pull_the_board_does_not_allow_says_so(pins: MockPins) -> None:
    """Where the configuration did not know; the pin is free afterwards."""
    with pytest.raises(SensorError) as caught:
        claim(2, "down")
    assert caught.value.reason == "pull"
    assert not pins.reserved(2)


def test_input_that_cannot_be_watched_is_let_go(
    pins: MockPins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RPi.GPIO finds that out only then."""

    def refused(_pin: Any, _edges: str) -> None:
        raise RuntimeError("Failed to add edge detection")

    with monkeypatch.context() as patch:
        patch.setattr(type(pins.factory.pin(17)), "_set_edges", refused)
        with pytest.raises(SensorError) as caught:
            claim()
    # The error is kept, as a reader may; what it holds on to must be closed all the same.
    assert not pins.reserved(17)
    assert caught.value.reason == "failed"


def test_input_in_use_says_by_whom(pins: MockPins) -> None:
    """Then it can be had when the other has let go."""
    first = claim()
    with pytest.raises(SensorError, match=r"GPIO17: .*in use.*give each sensor its own") as caught:
        claim()
    assert caught.value.reason == "in_use"
    first.close()
    claim().close()


def test_library_that_is_missing_names_the_package(library: pytest.MonkeyPatch) -> None:
    """And is looked for again next time."""
    with library.context() as patch:
        patch.setitem(sys.modules, "gpiozero", None)
        with pytest.raises(
            SensorError, match="apt install python3-gpiozero python3-lgpio"
        ) as caught:
            claim()
    assert caught.value.reason == "library"
    claim().close()


@pytest.mark.parametrize("name", ["spidev", "pkg_resources"])
def test_library_below_that_is_missing_names_its_package(name: str) -> None:
    """Each by its own name."""
    error = ModuleNotFoundError(f"No module named '{name}'", name=name)
    with pytest.raises(SensorError, match=f"python3-{name.replace('_', '-')}"):  # noqa: SIM117
        with of_pins.in_words("GPIO17"):
            raise error


def test_library_of_an_unknown_name_says_where_the_name_stands(
    library: pytest.MonkeyPatch,
) -> None:
    """It is a typing error of somebody's."""
    library.setenv("GPIOZERO_PIN_FACTORY", "lpgio")
    with pytest.raises(SensorError, match="/etc/default/pyvorin-agent") as caught:
        claim()
    assert caught.value.reason == "library"


def test_library_is_lgpio_where_nobody_names_one(library: pytest.MonkeyPatch) -> None:
    """Never one after the other until something seems to work."""
    library.setenv("GPIOZERO_PIN_FACTORY", "")
    library.setitem(sys.modules, "lgpio", None)
    with pytest.raises(SensorError, match="lgpio") as caught:
        claim()
    assert caught.value.reason == "library"
    assert os.environ["GPIOZERO_PIN_FACTORY"] == "lgpio"
    assert gpiozero.Device.pin_factory is None


def test_library_that_leads_the_process_away_is_led_back(
    library: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As lgpio does; relative paths mean the same before and after."""
    before = Path.cwd()
    factory = MockPins(FakeClock()).factory

    def strayed() -> Any:
        os.chdir(tmp_path)
        return factory

    library.setattr(gpiozero.Device, "_default_pin_factory", staticmethod(strayed))
    claim().close()

    assert gpiozero.Device.pin_factory is factory
    assert Path.cwd() == before


@pytest.mark.parametrize(
    ("given", "directory"),
    [
        ({"LG_WD": "/chosen", "RUNTIME_DIRECTORY": "/run/pyvorin"}, "/chosen"),
        ({"RUNTIME_DIRECTORY": "/run/pyvorin:/run/other"}, "/run/pyvorin"),
    ],
)
def test_lgpio_makes_its_fifo_where_somebody_chose_or_the_service_may(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], directory: str
) -> None:
    """Never where the process happens to stand."""
    for name in ("LG_WD", "RUNTIME_DIRECTORY", "GPIOZERO_PIN_FACTORY"):
        monkeypatch.setenv(name, given.get(name, ""))

    of_pins._settle_the_library()

    assert os.environ["LG_WD"] == directory


def test_lgpio_gets_a_directory_that_goes_with_the_process(tmp_path: Path) -> None:
    """Where nobody chose one and there is no service."""
    program = """
import os
from edge_agent.sensors.gpio import pins
pins._settle_the_library()
print(os.environ["LG_WD"], os.path.isdir(os.environ["LG_WD"]))
"""
    unset = dict.fromkeys(("LG_WD", "RUNTIME_DIRECTORY", "GPIOZERO_PIN_FACTORY"), "")
    environ = os.environ | unset | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environ
    )

    directory, was_there = ended.stdout.split()
    assert Path(directory).parent == tmp_path
    assert was_there == "True"
    assert list(tmp_path.iterdir()) == []


def test_library_that_is_there_already_is_left_as_it_is(
    pins: MockPins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it knew where; nothing is left behind."""
    for name in ("LG_WD", "GPIOZERO_PIN_FACTORY"):
        monkeypatch.setenv(name, "")
    claim().close()

    assert os.environ["LG_WD"] == os.environ["GPIOZERO_PIN_FACTORY"] == ""


def test_input_whose_former_owner_left_a_handler_is_watched(
    pins: MockPins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that is gone looks to gpiozero as if the line were watched still."""
    pin = pins.factory.pin(17)
    pin._when_changed = lambda: None
    watched: list[object] = []

    def watch(watched_pin: object) -> None:
        watched.append(watched_pin)

    monkeypatch.setattr(type(pin), "_enable_event_detect", watch)
    claim(17, "none").close()

    assert watched == [pin]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/dev/gpiomem"), "permission"),
        (FileNotFoundError(2, "No such file", ".lgd-nfy-3"), "library"),
        (AttributeError("module 'lgpio' has no attribute 'SET_BIAS_DISABLE'"), "library"),
        (gpiozero.PinUnknownPi("unable to locate Pi revision"), "board"),
        (gpiozero.PinFactoryFallback("Falling back from lgpio"), "library"),
        (RuntimeError("'GPIO busy'"), "in_use"),
        (RuntimeError("'can not open gpiochip'"), "absent"),
        (RuntimeError("Failed to add edge detection"), "failed"),
    ],
)
def test_error_of_a_library_becomes_a_sensor_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, reason: str
) -> None:
    """With one word for programs, and the library's own words."""
    monkeypatch.setattr(of_pins, "_DEV", tmp_path)
    with pytest.raises(SensorError, match="GPIO17: ") as caught, of_pins.in_words("GPIO17"):
        raise error
    assert caught.value.reason == reason
    assert caught.value.__cause__ is error


def test_gpiochip_that_is_there_and_cannot_be_opened_is_a_matter_of_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """lgpio has the same words for both."""
    (tmp_path / "gpiochip0").touch()
    monkeypatch.setattr(of_pins, "_DEV", tmp_path)
    with pytest.raises(SensorError, match="group gpio") as caught, of_pins.in_words("GPIO17"):
        raise RuntimeError("'can not open gpiochip'")
    assert caught.value.reason == "permission"


def test_drivers_of_pins_are_built_without_gpiozero() -> None:
    """Not by importing them, and not by building one."""
    program = """
import sys
from edge_agent.sensors import registry
from edge_agent.sensors.base import Surroundings
for name, options in (("contact", {"pin": 17}), ("pulse", {"pin": 27}), ("adc", {})):
    driver = registry.find(name)
    driver(driver.Options(**options), Surroundings(bus=None)).close()
assert "gpiozero" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
