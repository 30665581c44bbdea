"""Frames to and from the host: one type byte, four length bytes (big endian), payload.

The types stand in sandbox/agent/protocol.ts on the host's side.
"""

import os

CHUNK_BYTES = 65536
# A single argument or variable may have as many bytes as the host accepts metadata.
FRAME_BYTES_MAX = 1 << 30


class HostGone(Exception):
    """The host closed the channel: nobody wants an answer any more."""


class Channel:
    """Both directions of the conversation with the host, over two blocking descriptors."""

    def __init__(self, source, sink):
        self.source = source
        self.sink = sink
        self.buffer = bytearray()

    def send(self, kind, payload=b""):
        """Writes one frame, waiting while the host does not read."""
        view = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
        try:
            while view:
                view = view[os.write(self.sink, view) :]
        except BrokenPipeError:
            raise HostGone() from None

    def fill(self):
        """Reads once, waiting for data if there is none."""
        data = os.read(self.source, CHUNK_BYTES)
        if not data:
            raise HostGone()
        self.buffer += data

    def skip(self):
        """Reads once, and drops what came."""
        self.fill()
        self.buffer.clear()

    def take(self):
        """The next whole frame that has arrived, as (kind, payload), or None."""
        buffer = self.buffer
        if len(buffer) < 5:
            return None
        size = int.from_bytes(buffer[1:5], "big")
        if size > FRAME_BYTES_MAX:
            raise ValueError("frame of %d bytes" % size)
        if len(buffer) < 5 + size:
            return None
        frame = bytes(buffer[:1]), bytes(buffer[5 : 5 + size])
        del buffer[: 5 + size]
        return frame

    def receive(self):
        """The next frame, waiting for it."""
        frame = self.take()
        while frame is None:
            self.fill()
            frame = self.take()
        return frame
