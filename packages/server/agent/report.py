"""Where the program's interpreter says which exception ended it and what the last expression was."""

import os
import sys

import _socket

from agent.channel import CHUNK_BYTES

REPORT_BYTES_MAX = 1 << 20
# The reporting thread does nothing else meanwhile, so this only guards against a program that connects by itself.
REPORT_SECONDS_MAX = 1.0


class Reports:
    """An abstract socket, so that nothing of it shows in the program's descriptors or files.

    Only what the process of the program itself sends counts, and at worst it tells untruths about itself.
    """

    def __init__(self):
        self.name = "\0python-executor-" + os.urandom(12).hex()
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.socket.bind(self.name)
        self.socket.listen(8)
        self.socket.setblocking(False)
        self.descriptor = self.socket.fileno()
        self.received = {}

    def accept(self, pid):
        """Takes one report of process ``pid``, if one is there; False when none is."""
        try:
            descriptor, _ = self.socket._accept()
        except BlockingIOError:
            return False
        connection = _socket.socket(fileno=descriptor)
        try:
            credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
            if int.from_bytes(credentials[:4], sys.byteorder) == pid:
                connection.settimeout(REPORT_SECONDS_MAX)
                self._store(_read(connection))
        except OSError:
            pass  # A report that breaks off is no report.
        finally:
            connection.close()
        return True

    def _store(self, data):
        self.received[data[:1]] = data[1:]

    def error(self):
        """(class name, line) of the exception that ended the program, as bytes; both empty when none did."""
        name, _, line = self.received.get(b"E", b"").partition(b"\0")
        return name, line

    def result(self):
        """``repr()`` of the last expression as UTF-8, or None."""
        return self.received.get(b"V")


def _read(connection):
    data = b""
    while len(data) < REPORT_BYTES_MAX:
        piece = connection.recv(CHUNK_BYTES)
        if not piece:
            break
        data += piece
    return data[:REPORT_BYTES_MAX]
