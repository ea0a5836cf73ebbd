"""The fake USB device that guests are given: packets to the byte, whatever the stream cuts."""

from __future__ import annotations

import struct

import pytest
from fakes.usbredir import (
    STALL,
    SUCCESS,
    Control,
    Device,
    Identity,
    Kind,
    Packet,
    Parser,
    Stalled,
    Unanswered,
)

IDENTITY = Identity(0x0403, 0xC631, 0x0205, "tiny")
#: usb_redir_control_packet: endpoint, request, request type, status, value, index, length
READ_FOUR = bytes.fromhex("80 01 c1 00 0000 4400 0400")
WRITE_TWO = bytes.fromhex("00 07 41 00 0000 4400 0200 2400")


def device(answer: object = b"\x01\x02\x03\x04") -> Device:
    """One that says the same to everything, or raises it."""

    def say(_: Control) -> bytes:
        if isinstance(answer, bytes):
            return answer
        raise answer  # type: ignore[misc]

    return Device(IDENTITY, say)


@pytest.mark.parametrize("size", [1, 5, 12, 13, 1000])
def test_parser_finds_whole_packets_however_the_stream_is_cut(size: int) -> None:
    """A hello with its short header, and two others, one without a body; pieces of any size."""
    packets = [
        Packet(Kind.HELLO, b"qemu"),
        Packet(100, READ_FOUR, 7),
        Packet(Kind.DEVICE_DISCONNECT, b"", 0),
    ]
    stream = b"".join(packet.encoded() for packet in packets)
    parser = Parser()
    found = [p for at in range(0, len(stream), size) for p in parser.feed(stream[at : at + size])]
    assert found == packets


def test_packet_has_its_kind_length_and_number_in_front_low_byte_first() -> None:
    """usb_redir_header: ids of 64 bits, and of 32 in a hello."""
    assert Packet(100, b"ab", 0x0102).encoded() == bytes.fromhex(
        "64000000 02000000 0201000000000000 6162"
    )
    assert Packet(Kind.HELLO, b"ab").encoded() == bytes.fromhex("00000000 02000000 00000000 6162")


def test_device_that_is_plugged_in_tells_of_itself_in_the_lengths_of_the_protocol() -> None:
    """hello (three capabilities), then ep_info, interface_info, device_connect, in that order."""
    (hello,) = device().greeting()
    assert (hello.kind, len(hello.body)) == (Kind.HELLO, 64 + 4)
    assert hello.body[64:] == bytes.fromhex("70000000")
    plugged = device().plugged()
    assert [(packet.kind, len(packet.body)) for packet in plugged] == [
        (Kind.EP_INFO, 3 * 32 + 2 * 32),
        (Kind.INTERFACE_INFO, 4 + 4 * 32),
        (Kind.DEVICE_CONNECT, 8),
    ]
    assert plugged[-1].body == bytes.fromhex("01 ff0000 0304 31c6")
    # Nothing but the control endpoint, both ways.
    assert [at for at, kind in enumerate(plugged[0].body[:32]) if kind != 0xFF] == [0, 16]
    sizes = struct.unpack("<32H", plugged[0].body[96:])
    assert [size for size in sizes if size] == [sizes[0], sizes[16]] == [64, 64]


def test_control_transfer_that_reads_is_answered_with_its_data_under_its_number() -> None:
    """And says how much came."""
    (said,) = device(b"\xaa\xbb\xcc").reply(Packet(100, READ_FOUR, 41))
    assert said == Packet(100, bytes.fromhex("80 01 c1 00 0000 4400 0300 aabbcc"), 41)


def test_control_transfer_that_writes_is_answered_with_how_much_was_taken() -> None:
    """And nothing else."""
    heard = []

    def take(control: Control) -> bytes:
        heard.append(control.data)
        return b""

    (said,) = Device(IDENTITY, take).reply(Packet(100, WRITE_TWO, 1))
    assert heard == [b"\x24\x00"]
    assert said.body == bytes.fromhex("00 07 41 00 0000 4400 0200")


def test_control_transfer_that_is_refused_is_stalled() -> None:
    """With no data."""
    (said,) = device(Stalled()).reply(Packet(100, READ_FOUR))
    assert (said.body[3], said.body[8:]) == (STALL, b"\0\0")


def test_control_transfer_on_a_hung_device_is_not_answered() -> None:
    """The kernel's own time limit ends it."""
    assert device(Unanswered()).reply(Packet(100, READ_FOUR)) == []


def test_device_descriptor_is_what_the_driver_goes_by() -> None:
    """Its length, its endpoint's size, the maker's and the product's number."""
    ask = bytes.fromhex("80 06 80 00 0001 0000 1200")
    (said,) = device().reply(Packet(100, ask))
    assert said.body[3] == SUCCESS
    assert said.body[10:] == bytes.fromhex("12 01 1001 ff0000 40 0304 31c6 0502 00 01 00 01")


def test_configuration_descriptor_has_one_interface_and_its_own_length() -> None:
    """A host reads the first nine bytes, and then as many as they say."""
    ask = bytes.fromhex("80 06 80 00 0002 0000 ff00")
    (said,) = device().reply(Packet(100, ask))
    data = said.body[10:]
    assert data[:5] == bytes.fromhex("0902 1200 01")
    assert len(data) == 0x12


def test_descriptor_of_another_kind_is_stalled() -> None:
    """A full-speed device has no qualifier (USB 2.0, 9.6.2)."""
    ask = bytes.fromhex("80 06 80 00 0006 0000 0a00")
    (said,) = device().reply(Packet(100, ask))
    assert said.body[3] == STALL


def test_configuration_and_setting_are_confirmed() -> None:
    """QEMU asks for them by packets of their own."""
    assert device().reply(Packet(Kind.SET_CONFIGURATION, b"\x01", 3)) == [
        Packet(Kind.CONFIGURATION_STATUS, b"\x00\x01", 3)
    ]
    assert device().reply(Packet(Kind.SET_ALT_SETTING, b"\x00\x00", 4)) == [
        Packet(Kind.ALT_SETTING_STATUS, b"\x00\x00\x00", 4)
    ]


def test_packets_that_mean_nothing_here_are_left_alone() -> None:
    """A hello, a reset, a filter."""
    for kind in (Kind.HELLO, 3, 23, Kind.CANCEL_DATA_PACKET):
        assert device().reply(Packet(kind, b"")) == []
