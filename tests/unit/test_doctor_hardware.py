"""`doctor`: devices, groups, sensors, the supply."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor.hardware import hardware

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


def test_doctor_tells_the_sentence_that_the_running_agent_has(patient: Patient) -> None:
    """It knows the cause; the word is for programs."""
    patient.run(
        sensors={
            "fridge": {"last": {}, "faults": {"fridge": "nack"}, "details": {"fridge": "no 0x76"}}
        }
    )
    assert ill(looked_at(patient)).says == "fridge: no 0x76"


@pytest.mark.parametrize("installed", [True, False])
def test_doctor_hands_on_the_command_that_a_driver_names(
    patient: Patient, *, installed: bool
) -> None:
    """A library that is missing is installed, and the service begins anew with it."""
    words = "GPIO17: No module named 'lgpio'; sudo apt install python3-gpiozero python3-lgpio"
    patient.plant("dev/gpiochip0")
    patient.configure("sensors: [{name: door, type: contact, pin: 17}]")
    sensor = {"last": {}, "faults": {"door": "library"}, "details": {"door": words}}
    patient.run(sensors={"door": sensor})
    mend = ill(list(hardware(patient.case(installed=installed)))).mend
    restart = " && sudo systemctl restart pyvorin-agent" if installed else ""
    assert mend == f"sudo apt install python3-gpiozero python3-lgpio{restart}"


def test_doctor_says_which_bus_there_is_instead(patient: Patient) -> None:
    """To switch on what is on already helps nobody."""
    patient.configure(CHIP.replace("bus: 1", "bus: 3"))
    assert "name one that is there (i2c-1)" in ill(looked_at(patient)).mend


@pytest.mark.parametrize(
    ("tool", "words"),
    [(True, "sudo raspi-config nonint do_onewire 0"), (False, "add the line dtoverlay=w1-gpio")],
)
def test_doctor_switches_1_wire_on(patient: Patient, words: str, *, tool: bool) -> None:
    """With the tool of Raspberry Pi OS, or without; not where a bus is there already."""
    patient.configure("sensors: [{name: t, type: w1, id: 28-0316a2795bff}]")
    patient.run(sensors={"t": {"last": {}, "faults": {"t": "absent"}}})
    if not tool:
        (patient.root / "usr/bin/raspi-config").unlink()
    assert words in ill(looked_at(patient)).mend
    patient.plant("sys/bus/w1/devices/w1_bus_master2/uevent")
    assert "sensors scan` shows what the kernel" in ill(looked_at(patient)).mend


def test_doctor_sends_a_new_sensor_to_a_reload(patient: Patient) -> None:
    """Its wiring is not to blame; the others are told of."""
    patient.configure(f"{CHIP[:-2]}, {{name: attic, type: simulated}}]\n")
    found = ill(looked_at(patient))
    assert found.says == "attic: the running agent does not know it yet"
    assert found.mend == "sudo systemctl reload pyvorin-agent"


def test_doctor_counts_no_sensor_that_has_not_reported(patient: Patient) -> None:
    """Just started, or one that reports now and then: no fault, and no answer either."""
    found = looked_at(patient)
    assert (found[-1].level, found[-1].says) == (
        OK,
        "0 of 1 answer; nothing reported yet by fridge",
    )


@pytest.mark.parametrize("shut", ["file", "folder"])
def test_doctor_reads_no_sensor_without_the_queue_that_knows_its_count(
    patient: Patient, shut: str
) -> None:
    """A meter would begin at 0; the queue's own line says what is wrong with it."""
    patient.status = None
    if shut == "file":
        (patient.queue / "q.db").touch()
    else:
        patient.denied.add(patient.queue)
    found = ill(looked_at(patient))
    assert (found.level, found.says) == (WARN, "not read, as the queue cannot be")


def test_doctor_of_a_trial_names_the_configuration_in_commands(patient: Patient) -> None:
    """And has a person log in anew, who is no service to restart."""
    read(patient, fridge="nack")
    trial = list(hardware(patient.case(installed=False)))
    assert f"sensors scan --bus 1 --config {patient.config}`" in ill(trial).mend
    os.chown(patient.root / "dev/i2c-1", 0, 1)
    patient.denied.add(patient.root / "dev/i2c-1")
    mend = ill(list(hardware(patient.case(installed=False)))).mend
    assert mend == "`sudo usermod -aG daemon pyvorin`, then log in anew"


def test_doctor_loads_i2c_dev_and_starts_the_service_anew(patient: Patient) -> None:
    """systemd lets a service have the devices that were known when it was started."""
    (patient.root / "dev/i2c-1").unlink()
    patient.plant("sys/bus/i2c/devices/i2c-1/name", "bcm2835")
    assert ill(looked_at(patient)).mend.endswith("&& sudo systemctl restart pyvorin-agent")


def test_doctor_has_the_service_begin_anew_where_systemd_keeps_a_device_from_it(
    patient: Patient,
) -> None:
    """A bus that was switched on after its start: its file is open to the user all the same."""
    read(patient, fridge="permission")
    assert ill(looked_at(patient)).mend == "sudo systemctl restart pyvorin-agent"


def test_doctor_survives_a_process_table_that_tells_little(patient: Patient) -> None:
    """Of the groups it goes by what there is."""
    os.chown(patient.root / "dev/i2c-1", 0, 1)
    patient.plant("proc/7/status", "Groups:\t29\n")
    assert "joined group daemon" in ill(looked_at(patient)).says


def test_doctor_lets_root_open_what_it_wants(patient: Patient) -> None:
    """An agent that is run as root needs no group."""
    os.chown(patient.root / "dev/i2c-1", 1, 1)
    patient.plant("proc/7/status", "Uid:\t0\t0\nGid:\t0\nGroups:\t\n")
    assert told(looked_at(patient)) == [("i2c", OK), ("sensors", OK)]


def test_doctor_counts_a_device_that_others_may_only_read_as_closed(patient: Patient) -> None:
    """A bus is written to as well."""
    device = patient.root / "dev/i2c-1"
    os.chown(device, 0, 1)
    patient.plant("proc/7/status", "Uid:\t99\nGid:\t99\nGroups:\t29\n")
    device.chmod(0o664)
    assert ill(looked_at(patient)).topic == "i2c"
    device.chmod(0o666)
    assert told(looked_at(patient)) == [("i2c", OK), ("sensors", OK)]
