"""Type name to driver: our own, and those that other distributions add by entry point.

A driver is imported when its type is asked for, so an agent with one thermometer never pays for
the others. Third parties add a type with an entry point in the group ``edge_agent.sensors``::

    [project.entry-points."edge_agent.sensors"]
    my_probe = "my_package.my_probe:MyProbe"
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.errors import ConfigError
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.unbuilt import Unbuilt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

GROUP = "edge_agent.sensors"

_OWN = {
    "adc": "edge_agent.sensors.gpio.adc:Adc",
    "ads1115": "edge_agent.sensors.chips.ads1115:Ads1115",
    "aht20": "edge_agent.sensors.chips.aht20:Aht20",
    "bh1750": "edge_agent.sensors.chips.bh1750:Bh1750",
    "bme280": "edge_agent.sensors.chips.bme280:Bme280",
    "contact": "edge_agent.sensors.gpio.contact:Contact",
    "htu21d": "edge_agent.sensors.chips.htu21d:Htu21d",
    "hwmon": "edge_agent.sensors.kernel.hwmon:Hwmon",
    "i2c_register": "edge_agent.sensors.chips.i2c_register:I2cRegister",
    "iio": "edge_agent.sensors.kernel.iio:Iio",
    "ina219": "edge_agent.sensors.chips.ina219:Ina219",
    "ina226": "edge_agent.sensors.chips.ina226:Ina226",
    "lm75": "edge_agent.sensors.chips.lm75:Lm75",
    "mcp9808": "edge_agent.sensors.chips.mcp9808:Mcp9808",
    "pulse": "edge_agent.sensors.gpio.pulse:Pulse",
    "scd4x": "edge_agent.sensors.chips.scd4x:Scd4x",
    "sht3x": "edge_agent.sensors.chips.sht3x:Sht3x",
    "sht4x": "edge_agent.sensors.chips.sht4x:Sht4x",
    "simulated": "edge_agent.sensors.simulated:Simulated",
    "system": "edge_agent.sensors.system:System",
    "tmp117": "edge_agent.sensors.chips.tmp117:Tmp117",
    "w1": "edge_agent.sensors.kernel.w1:W1",
}

#: What importing somebody else's module is known to raise. A fault outside this list is the
#: plugin's own crash and is shown as one, with its traceback.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def find(type_name: str) -> type[Sensor]:
    """The driver of a sensor type; one of ours goes before a plugin's of the same name.

    Raises:
        KeyError: no driver of this name is installed.
        ConfigError: a plugin gives it, and the plugin cannot be used.
    """
    if type_name in _OWN:
        module, _, name = _OWN[type_name].partition(":")
        driver: type[Sensor] = getattr(importlib.import_module(module), name)
        return driver
    for entry in _plugins():
        if entry.name == type_name:
            return _load(entry)
    raise KeyError(type_name)


def build(type_name: str, options: Any, surroundings: Surroundings) -> Sensor:
    """The driver of a sensor type, built.

    A third party's may break its contract as it is built: then it is a sensor that is faulty, and
    says why, at each turn. One of many sensors must not stop the agent, or a reload.

    Raises:
        KeyError, ConfigError: as `find`.
    """
    driver = find(type_name)
    try:
        sensor = driver(options, surroundings)
        if not isinstance(sensor.bus_name, str):
            raise TypeError("its bus_name is no text")
    except _BROKEN as error:
        why = f"the driver of '{type_name}' cannot be built: {type(error).__name__}: {error}"
        return Unbuilt(options, surroundings, f"{why}; mend or update it, and restart the agent")
    return sensor


def type_names() -> Sequence[str]:
    """Every type that `find` knows, sorted, whether or not its plugin can be loaded."""
    return sorted({*_OWN, *(entry.name for entry in _plugins())})


def _plugins() -> EntryPoints:
    # Reading every installed distribution's metadata is slow on a card, and an agent that uses
    # our drivers only has no need of it.
    from importlib import metadata  # noqa: PLC0415  # see above

    return metadata.entry_points(group=GROUP)


def _load(entry: EntryPoint) -> type[Sensor]:
    try:
        driver = entry.load()
    except _BROKEN as error:
        raise _unusable(entry, f"{type(error).__name__}: {error}") from error
    if not _is_driver(driver):
        raise _unusable(entry, "it is no complete Sensor with an Options dataclass")
    found: type[Sensor] = driver
    return found


def _is_driver(thing: Any) -> bool:
    return (
        isinstance(thing, type)
        and issubclass(thing, Sensor)
        and not inspect.isabstract(thing)
        and dataclasses.is_dataclass(getattr(thing, "Options", None))
        and _takes_its_channels(thing)
    )


def _takes_its_channels(driver: type[Sensor]) -> bool:
    """Whether there are no channel options, or both dataclasses are as the contract wants them."""
    if driver.ChannelOptions is None:
        return True
    names = {field.name for field in dataclasses.fields(driver.Options)}
    return (
        dataclasses.is_dataclass(driver.ChannelOptions)
        and all(_is_frozen(section) for section in (driver.Options, driver.ChannelOptions))
        and "channels" in names
    )


def _is_frozen(section: Any) -> bool:
    return bool(section.__dataclass_params__.frozen)


def _unusable(entry: EntryPoint, why: str) -> ConfigError:
    source = entry.dist.name if entry.dist else "an unknown distribution"
    return ConfigError(
        f"the sensor type '{entry.name}' is a plugin of {source} ({entry.value}) that cannot be "
        f"used: {why}; mend, update or remove {source}"
    )
