"""Unpacks the canonical tar that the host makes: regular files, directories and pax ``path`` records, nothing else."""

import os

BLOCK_BYTES = 512


class Extractor:
    """Takes the archive in pieces of any size and writes its entries below ``root``.

    ``owner`` is the uid and gid that the entries get, or None when they are the writer's anyway.
    """

    def __init__(self, root, owner):
        self.root = root
        self.owner = owner
        self.buffer = bytearray()
        self.directories = {root}
        self.mask = os.umask(0o022)
        os.umask(self.mask)
        self.file = -1
        self.pax = None
        self.long_name = None
        self.remaining = 0
        self.padding = 0

    def feed(self, data):
        """Raises OSError when an entry cannot be written."""
        self.buffer += data
        while self._step():
            pass

    def _step(self):
        if self.remaining:
            return self._copy()
        if len(self.buffer) < self.padding + BLOCK_BYTES:
            return False
        header = bytes(self.buffer[self.padding : self.padding + BLOCK_BYTES])
        del self.buffer[: self.padding + BLOCK_BYTES]
        self.padding = 0
        if header.strip(b"\0"):
            self._begin(header)
        return True

    def _begin(self, header):
        kind = header[156:157]
        size = _number(header, 124, 12)
        if kind == b"x":
            self.pax = bytearray()
            self._expect(size)
            return
        name, prefix = _text(header, 0, 100), _text(header, 345, 155)
        if self.long_name is not None:
            name, self.long_name = self.long_name, None
        elif prefix:
            name = prefix + b"/" + name
        path = self.root + "/" + os.fsdecode(name).rstrip("/")
        if kind == b"5":
            self._make_directory(path)
            return
        self._make_directory(path.rpartition("/")[0])
        self._create(path, _number(header, 100, 8) & 0o777)
        self._expect(size)

    def _create(self, path, mode):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            self.file = os.open(path, flags, mode)
        except FileExistsError:
            # The last of two equal names wins, as a file of its own.
            os.unlink(path)
            self.file = os.open(path, flags, mode)
        # What the mask of an agent takes away is rarely anything.
        if mode & self.mask:
            os.fchmod(self.file, mode)
        if self.owner is not None:
            os.fchown(self.file, self.owner, self.owner)

    def _expect(self, size):
        self.remaining = size
        self.padding = -size % BLOCK_BYTES
        if not size:
            self._end()

    def _copy(self):
        if not self.buffer:
            return False
        data = bytes(self.buffer[: self.remaining])
        del self.buffer[: len(data)]
        if self.pax is not None:
            self.pax += data
        else:
            view = memoryview(data)
            while view:
                view = view[os.write(self.file, view) :]
        self.remaining -= len(data)
        if not self.remaining:
            self._end()
        return True

    def _end(self):
        if self.pax is not None:
            self.long_name = _pax_path(bytes(self.pax))
            self.pax = None
        else:
            os.close(self.file)
            self.file = -1

    def _make_directory(self, path):
        if path in self.directories:
            return
        self._make_directory(path.rpartition("/")[0])
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            pass
        else:
            if self.owner is not None:
                os.chown(path, self.owner, self.owner)
        self.directories.add(path)


def _text(header, offset, size):
    return header[offset : offset + size].split(b"\0", 1)[0]


def _number(header, offset, size):
    return int(_text(header, offset, size).strip() or b"0", 8)


def _pax_path(records):
    """The value of the ``path`` record, or None."""
    while records:
        size = int(records.split(b" ", 1)[0])
        record, records = records[:size], records[size:]
        key, _, value = record.split(b" ", 1)[1].partition(b"=")
        if key == b"path":
            return value[:-1]
    return None
