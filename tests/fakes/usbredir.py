"""The usb-redir protocol, from the side that has the USB device: QEMU's guest sees it plugged in.

A device here has one interface and nothing but its control endpoint: all that is spoken of.

Source:
    "USB Network Redirection protocol description version 0.7" (docs/usb-redirection-protocol.md of
    the usbredir project), whose packet names are used here. The capabilities that are announced are
    those that QEMU wants at an XHCI controller: ids of 64 bits (in every packet but the hellos), in
    ``ep_info`` packet sizes, and bulk packets of any length, of which there are none. So
    ``device_connect`` has no device version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path


class Kind(enum.IntEnum):
    """The packets that are sent or understood; others are left alone."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    CANCEL_DATA_PACKET = 21
    CONTROL_PACKET = 100


#: of a packet's status
SUCCESS, CANCELLED, STALL = 0, 1, 4
_FULL_SPEED = 1
_ENDPOINTS = 32
_INVALID = 255
#: usb_redir_cap_ep_info_max_packet_size, usb_redir_cap_64bits_ids, usb_redir_cap_32bits_bulk_length
_CAPABILITIES = 1 << 4 | 1 << 5 | 1 << 6
#: of the control endpoint
_PACKET_BYTES = 64
#: of a request's type: the device answers with data
_IN = 0x80

_HELLO_HEADER = struct.Struct("<III")
_HEADER = struct.Struct("<IIQ")
_CONTROL = struct.Struct("<BBBBHHH")
_GET_DESCRIPTOR = 6
_NAME = b"pyvorin tests".ljust(64, b"\0")


class Stalled(Exception):
    """The device does not take this request."""


class Unanswered(Exception):
    """The device takes the request and says nothing: whoever asked runs out of patience."""


@dataclasses.dataclass(frozen=True)
class Packet:
    """One packet; ``number`` is what answers bear, too."""

    kind: int
    body: bytes = b""
    number: int = 0

    def encoded(self) -> bytes:
        header = _HELLO_HEADER if self.kind == Kind.HELLO else _HEADER
        return header.pack(self.kind, len(self.body), self.number) + self.body


@dataclasses.dataclass(frozen=True)
class Control:
    """A control transfer. Source: USB 2.0, 9.3 (setup data)."""

    request: int
    request_type: int
    value: int = 0
    index: int = 0
    #: how much may be answered, or how much ``data`` is
    length: int = 0
    data: bytes = b""

    @property
    def is_in(self) -> bool:
        return bool(self.request_type & _IN)

    @classmethod
    def decoded(cls, body: bytes) -> Control:
        _, request, request_type, _, value, index, length = _CONTROL.unpack_from(body)
        return cls(request, request_type, value, index, length, body[_CONTROL.size :])

    def answer(self, status: int, said: bytes = b"") -> bytes:
        """The body of the answer; to what was sent out it says how much of it was taken."""
        data = said[: self.length] if self.is_in else b""
        length = len(data) if self.is_in else (self.length if status == SUCCESS else 0)
        endpoint = self.request_type & _IN
        return (
            _CONTROL.pack(
                endpoint, self.request, self.request_type, status, self.value, self.index, length
            )
            + data
        )


class Parser:
    """Packets out of a stream that is cut anywhere and begins with a hello."""

    def __init__(self) -> None:
        self._left = b""
        self._header = _HELLO_HEADER

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are whole now."""
        self._left += data
        found = []
        while len(self._left) >= self._header.size:
            kind, length, number = self._header.unpack_from(self._left)
            end = self._header.size + length
            if len(self._left) < end:
                break
            found.append(Packet(kind, self._left[self._header.size : end], number))
            self._left, self._header = self._left[end:], _HEADER
        return found


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a device is known by, and says of itself."""

    vendor: int
    product: int
    #: binary coded: 0x0205 is 2.05
    version: int
    name: str

    def descriptor(self, kind: int, number: int) -> bytes:
        """Source: USB 2.0, 9.6 (standard descriptors).

        Raises:
            Stalled: it has none of this kind.
        """
        if kind == 1:
            numbers = struct.pack("<HHH", self.vendor, self.product, self.version)
            return (
                bytes([18, 1, 0x10, 0x01, 0xFF, 0, 0, _PACKET_BYTES])
                + numbers
                + bytes([0, 1, 0, 1])
            )
        if kind == 2:
            interface = bytes([9, 4, 0, 0, 0, 0xFF, 0, 0, 0])
            return struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 50) + interface
        if kind == 3:
            text = self.name.encode("utf-16-le") if number else b"\x09\x04"
            return bytes([2 + len(text), 3]) + text
        raise Stalled


#: What a device does with a request of its own kind; raises `Stalled`, `Unanswered`.
Answer = Callable[[Control], bytes]


class Device:
    """What the host's side says to each packet, without a socket."""

    def __init__(self, identity: Identity, answer: Answer) -> None:
        self._identity = identity
        self._answer = answer

    def greeting(self) -> list[Packet]:
        return [Packet(Kind.HELLO, _NAME + struct.pack("<I", _CAPABILITIES))]

    def plugged(self) -> list[Packet]:
        """It is there now: its endpoints, its interface, and then itself."""
        kinds = bytes([0] + 15 * [_INVALID]) * 2
        sizes = (struct.pack("<H", _PACKET_BYTES) + bytes(_ENDPOINTS - 2)) * 2
        interface = struct.pack("<I", 1) + bytes(32) + b"\xff".ljust(32, b"\0") + bytes(64)
        ids = struct.pack("<HH", self._identity.vendor, self._identity.product)
        return [
            Packet(Kind.EP_INFO, kinds + bytes(2 * _ENDPOINTS) + sizes),
            Packet(Kind.INTERFACE_INFO, interface),
            Packet(Kind.DEVICE_CONNECT, bytes([_FULL_SPEED, 0xFF, 0, 0]) + ids),
        ]

    def unplugged(self) -> list[Packet]:
        return [Packet(Kind.DEVICE_DISCONNECT)]

    def reply(self, packet: Packet) -> list[Packet]:
        """What is answered to a packet, if anything is."""
        match packet.kind:
            case Kind.SET_CONFIGURATION:
                said = bytes([SUCCESS]) + packet.body
                return [Packet(Kind.CONFIGURATION_STATUS, said, packet.number)]
            case Kind.GET_CONFIGURATION:
                return [Packet(Kind.CONFIGURATION_STATUS, bytes([SUCCESS, 1]), packet.number)]
            case Kind.SET_ALT_SETTING | Kind.GET_ALT_SETTING:
                return [Packet(Kind.ALT_SETTING_STATUS, bytes([SUCCESS, 0, 0]), packet.number)]
            case Kind.CONTROL_PACKET:
                return self._control(packet)
        return []

    def _control(self, packet: Packet) -> list[Packet]:
        control = Control.decoded(packet.body)
        try:
            body = control.answer(SUCCESS, self._said(control))
        except Stalled:
            body = control.answer(STALL)
        except Unanswered:
            return []
        return [Packet(Kind.CONTROL_PACKET, body, packet.number)]

    def _said(self, control: Control) -> bytes:
        # USB 2.0, 9.3.1: two bits of the type tell standard requests from a vendor's.
        if control.request_type & 0x60:
            return self._answer(control)
        if control.request == _GET_DESCRIPTOR:
            return self._identity.descriptor(control.value >> 8, control.value & 0xFF)
        raise Stalled


class Port:
    """A USB port of QEMU, on a socket that it listens on; one thread answers."""

    def __init__(self, path: Path, device: Device) -> None:
        """Connect; nothing is plugged in yet.

        Args:
            path: the chardev's socket.
            device: what can be plugged in.
        """
        self._device = device
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._sending = threading.Lock()
        self._send(device.greeting())
        self._thread = threading.Thread(target=self._serve, name="usb-redir")
        self._thread.start()

    def plug(self) -> None:
        self._send(self._device.plugged())

    def unplug(self) -> None:
        self._send(self._device.unplugged())

    def close(self) -> None:
        """QEMU may be gone already."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        parser = Parser()
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                for packet in parser.feed(data):
                    self._send(self._device.reply(packet))

    def _send(self, packets: list[Packet]) -> None:
        with self._sending:
            self._socket.sendall(b"".join(packet.encoded() for packet in packets))
