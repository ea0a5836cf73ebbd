"""A name server of the test's own, in a process, on another machine if wanted.

Source:
    RFC 1035, 4.1: a message's header and its question; 4.1.4: a name as a pointer to another.
"""

from __future__ import annotations

import selectors
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

#: Says the address, SERVFAIL, or nothing.
ANSWERS, FAILS, SILENT = "answers", "fails", "silent"
_HEADER = struct.Struct(">HHHHHH")
_A = 1


class NameServer:
    """Port 53 at one or more addresses; every name has the same address."""

    def __init__(self, addresses: Sequence[str], name_is: str, within: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*within, sys.executable, __file__, name_is, *addresses],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.be(ANSWERS)

    def be(self, mode: str) -> None:
        """Answer so from now on; returns when it does."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode}\n")
        self._process.stdin.flush()
        self._read_to(mode)

    def wait_until_asked(self) -> None:
        """Returns at the next question."""
        self._read_to("asked")

    def close(self) -> None:
        self._process.communicate()

    def _read_to(self, wanted: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == wanted:
                return
        raise AssertionError(f"the name server ended before {wanted!r}")


def answer(question: bytes, name_is: str, mode: str) -> bytes:
    """A whole message: the address, no address of that type, or SERVFAIL."""
    number, *_ = _HEADER.unpack_from(question)
    asked = question[_HEADER.size : question.index(0, _HEADER.size) + 5]
    is_a = struct.unpack(">H", asked[-4:-2])[0] == _A
    found = b""
    if is_a and mode == ANSWERS:
        found = struct.pack(">HHHIH", 0xC000 | _HEADER.size, _A, 1, 0, 4)
        found += socket.inet_aton(name_is)
    flags = 0x8180 if mode == ANSWERS else 0x8182
    return _HEADER.pack(number, flags, 1, bool(found), 0, 0) + asked + found


def serve(name_is: str, *addresses: str) -> None:
    """Answer until standard input ends; each line of it is a mode."""
    mode = ANSWERS
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for address in addresses:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, 53))
            selector.register(sock, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    mode = sys.stdin.readline().strip()
                    if not mode:
                        return
                    print(mode, flush=True)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                question, client = key.fileobj.recvfrom(512)
                print("asked", flush=True)
                if mode != SILENT:
                    key.fileobj.sendto(answer(question, name_is, mode), client)


if __name__ == "__main__":
    serve(*sys.argv[1:])
