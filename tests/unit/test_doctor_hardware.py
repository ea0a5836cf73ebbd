"""`doctor`: devices, groups, sensors, the supply."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor_hardware import hardware

CHIP = "sensors: [{name: fridge, type: bme280, bus: 1, address: 0x76}]\n"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A Pi with one chip on its bus, read by a running agent."""
    made = Patient(tmp_path)
    made.plant("usr/bin/raspi-config")
    made.plant("dev/i2c-1").chmod(0o660)
    made.configure(CHIP)
    read(made)
    return made


def read(patient: Patient, *names: str, **faults: str) -> None:
    """Let the agent have read its sensors, with these faults."""
    patient.run(
        sensors={name: {"last": {}, "faults": dict(faults)} for name in names or ("fridge",)}
    )


def looked_at(patient: Patient) -> list[Finding]:
    return list(hardware(patient.case()))


def test_doctor_finds_a_wired_pi_well(patient: Patient) -> None:
    """The bus, the sensor; a board that says nothing of its supply is not judged."""
    assert told(looked_at(patient)) == [("i2c", OK), ("sensors", OK)]


def test_doctor_says_how_i2c_is_switched_on_and_nothing_of_the_sensors_there(
    patient: Patient,
) -> None:
    """One cause, one line."""
    (patient.root / "dev/i2c-1").unlink()
    assert ill(looked_at(patient)).mend == "sudo raspi-config nonint do_i2c 0 && sudo reboot"


def test_doctor_knows_a_bus_whose_device_file_is_missing(patient: Patient) -> None:
    """The kernel drives it, and i2c-dev is not loaded."""
    (patient.root / "dev/i2c-1").unlink()
    patient.plant("sys/bus/i2c/devices/i2c-1/name", "bcm2835")
    assert "sudo modprobe i2c-dev" in ill(looked_at(patient)).mend


def test_doctor_names_the_group_of_a_device_that_is_closed(patient: Patient) -> None:
    """By the device's own group."""
    device = patient.root / "dev/i2c-1"
    os.chown(device, 0, 1)  # in every Debian: daemon
    patient.denied.add(device)
    found = ill(looked_at(patient))
    assert "pyvorin may not use /dev/i2c-1" in found.says
    assert found.mend.startswith("sudo usermod -aG daemon pyvorin")


def test_doctor_names_a_device_that_no_rule_has_given_away(patient: Patient) -> None:
    """It is root's; no group helps."""
    patient.denied.add(patient.root / "dev/i2c-1")
    assert "udevadm trigger" in ill(looked_at(patient)).mend


@pytest.mark.parametrize(("groups", "well"), [("29 44", False), ("1 44", True)])
def test_doctor_sees_that_the_agent_was_started_before_its_user_joined(
    patient: Patient, groups: str, *, well: bool
) -> None:
    """A process keeps the groups that it began with."""
    os.chown(patient.root / "dev/i2c-1", 0, 1)
    patient.plant("proc/7/status", f"Uid:\t99\t99\nGid:\t99\t99\nGroups:\t{groups}\n")
    if well:
        assert told(looked_at(patient)) == [("i2c", OK), ("sensors", OK)]
    else:
        assert ill(looked_at(patient)).mend == "sudo systemctl restart pyvorin-agent"


@pytest.mark.parametrize(
    ("sensor", "topic", "says", "mend"),
    [
        ("{name: x, type: adc, device: 1}", "spi", "no /dev/spidev0.1", "do_spi 0"),
        ("{name: x, type: contact, pin: 17}", "gpio", "no /dev/gpiochip0", "ls /dev"),
    ],
)
def test_doctor_names_other_devices_that_are_missing(
    patient: Patient, sensor: str, topic: str, says: str, mend: str
) -> None:
    """Each type's own."""
    patient.configure(f"sensors: [{sensor}]")
    read(patient, "x")
    found = ill(looked_at(patient))
    assert found.topic == topic
    assert says in found.says
    assert mend in found.mend


def test_doctor_takes_the_gpio_chip_that_is_there(patient: Patient) -> None:
    """A Pi 5 calls it otherwise."""
    patient.plant("dev/gpiochip4")
    patient.configure("sensors: [{name: x, type: contact, pin: 17}]")
    read(patient, "x")
    assert told(looked_at(patient)) == [("gpio", OK), ("sensors", OK)]


def test_doctor_says_a_running_agents_fault_in_words(patient: Patient) -> None:
    """And which command shows more."""
    read(patient, fridge="nack")
    found = ill(looked_at(patient))
    assert found.says == "fridge: no answer: check its address, power and wiring (nack)"
    assert "sensors scan --bus 1" in found.mend


def test_doctor_reads_the_sensors_itself_where_no_agent_runs(patient: Patient) -> None:
    """Then a driver's own sentence is told."""
    patient.status = None
    patient.configure(
        "sensors: [{name: ok, type: simulated}, {name: t, type: w1, id: 28-0316a2795bff}]"
    )
    found = looked_at(patient)
    assert told(found) == [("sensor", FAIL), ("sensors", OK)]
    assert "1-wire" in found[0].says
    assert found[1].says == "1 of 2 answer"


def test_doctor_wants_a_sensor_at_least(patient: Patient) -> None:
    """An agent without one is running for nothing."""
    patient.configure("sensors: []")
    assert "sensors scan" in ill(looked_at(patient)).mend


@pytest.mark.parametrize(
    ("bits", "told_of_power"),
    [
        ("0", [("power", OK)]),
        ("50005", [("power", FAIL)]),
        ("50000", [("power", WARN)]),
        ("80008", [("power", OK), ("power", WARN)]),
        ("?", []),
    ],
)
def test_doctor_reads_the_supplys_bits(
    patient: Patient, bits: str, told_of_power: list[tuple[str, str]]
) -> None:
    """Now, since the boot, and heat."""
    patient.plant(THROTTLED, f"{bits}\n")
    assert told(looked_at(patient))[2:] == told_of_power


@pytest.mark.parametrize(("alarm", "level"), [("1", FAIL), ("0", OK)])
def test_doctor_asks_the_kernels_monitor_where_the_firmware_tells_nothing(
    patient: Patient, alarm: str, level: str
) -> None:
    """Plain Debian on a Pi has hwmon alone."""
    patient.plant("sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    patient.plant("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    patient.plant("sys/class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")
    assert told(looked_at(patient))[2:] == [("power", level)]
