"""Messages to the kernel over netlink."""

import sys

import _socket

AF_NETLINK = 16
REQUEST, ACKNOWLEDGE = 0x1, 0x4
CREATE, REPLACE, APPEND = 0x400, 0x100, 0x800
NESTED = 0x8000
ERROR = 2


class Netlink:
    """A connection to one of the kernel's subsystems, ``protocol``."""

    def __init__(self, protocol):
        self.socket = _socket.socket(AF_NETLINK, _socket.SOCK_RAW, protocol)
        self.sequence = 0

    def request(self, *messages):
        """Has ``messages``, each a kind, flags and a payload, carried out in order, and waits for the answers.

        Only those with the flag ACKNOWLEDGE are answered. Raises the OSError of the first that the kernel refused.
        """
        data = b""
        for kind, flags, payload in messages:
            self.sequence += 1
            data += u32(16 + len(payload)) + u16(kind) + u16(REQUEST | flags) + u32(self.sequence) + u32(0)
            data += payload + bytes(-len(payload) % 4)
        self.socket.send(data)
        waiting = sum(1 for _, flags, _ in messages if flags & ACKNOWLEDGE)
        while waiting:
            answers = self.socket.recv(65536)
            while answers:
                self._check(answers)
                waiting -= 1
                size = int.from_bytes(answers[:4], sys.byteorder)
                answers = answers[(size + 3) & ~3 :]

    def _check(self, answer):
        code = int.from_bytes(answer[16:20], sys.byteorder, signed=True)
        if int.from_bytes(answer[4:6], sys.byteorder) != ERROR or code:
            number = int.from_bytes(answer[8:12], sys.byteorder)
            raise OSError(-code, "netlink request %d of %d failed" % (number, self.sequence))

    def close(self):
        self.socket.close()


def attribute(kind, value):
    return u16(4 + len(value)) + u16(kind) + value + bytes(-len(value) % 4)


def nested(kind, *attributes):
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind, value):
    return attribute(kind, value.encode() + b"\0")


def u16(value):
    return value.to_bytes(2, sys.byteorder)


def u32(value):
    return value.to_bytes(4, sys.byteorder)
