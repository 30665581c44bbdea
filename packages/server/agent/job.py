"""The one job of a sandbox, as the host describes it."""

import errno
import os

from agent.extract import Extractor

WORK = "/work"

# What an interpreter reads while it starts: one that is up already would not heed it.
STARTUP_VARIABLES = ("PATH", "HOME", "TZ", "TZDIR", "LANG", "LANGUAGE", "LOCPATH")
STARTUP_PREFIXES = ("PYTHON", "LD_", "LC_", "MALLOC_", "GLIBC_")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Job:
    """Entry point, arguments, environment and limits; the files are in /work once it was received."""

    def __init__(self):
        self.entrypoint = "main.py"
        self.args = []
        self.variables = []
        self.pre_commands = []
        self.eval_last_expr = False
        self.stdout_bytes_max = 0
        self.stderr_bytes_max = 0
        self.disk_full = False

    def receive(self, channel, owner):
        """Reads frames up to "go" and unpacks the archive meanwhile.

        When the files do not fit, ``disk_full`` is set, and the rest of the archive is read and dropped.
        """
        extractor = Extractor(WORK, owner)
        while True:
            kind, payload = channel.receive()
            if kind == b"G":
                return
            if kind == b"T":
                self._extract(extractor, payload)
            elif kind == b"A":
                self.args.append(_argument(payload))
            elif kind == b"E":
                name, _, value = _argument(payload).partition("=")
                self.variables.append((name, value))
            elif kind == b"P":
                self.pre_commands.append(_argument(payload))
            elif kind == b"M":
                self.entrypoint = _argument(payload)
            elif kind == b"V":
                self.eval_last_expr = True
            elif kind == b"L":
                self.stdout_bytes_max = int.from_bytes(payload[:8], "big")
                self.stderr_bytes_max = int.from_bytes(payload[8:], "big")
            else:
                raise ValueError("frame %r before the job was complete" % kind)

    def _extract(self, extractor, data):
        if self.disk_full:
            return
        try:
            extractor.feed(data)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self.disk_full = True

    def environment(self):
        environment = dict(os.environ)
        environment.update(self.variables)
        return environment

    def needs_new_interpreter(self):
        """Whether an interpreter that was up before the job came would differ from one started for it."""
        if self.entrypoint != "main.py" or self.pre_commands:
            return True
        if any(name in STARTUP_VARIABLES or name.startswith(STARTUP_PREFIXES) for name, _ in self.variables):
            return True
        # HOME is /work, and the user's site-packages are put on the path at start-up.
        return os.path.isdir(WORK + "/.local/lib")


def _argument(payload):
    return os.fsdecode(payload)
