"""What the sandbox's cgroup counted, where the backend lets it be seen from inside."""

import os

COUNTER_FILES = {
    "cpu": ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu.stat"),
    "peak": ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak"),
    "oom": ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"),
}


class Counters:
    """Opens the files once, so that reading them at the end of a run costs next to nothing.

    ``files``: where each counter may be, none where the host counts by itself.
    """

    def __init__(self, files):
        self.descriptors = {}
        for name, paths in files.items():
            for path in paths:
                try:
                    self.descriptors[name] = os.open(path, os.O_RDONLY)
                    break
                except OSError:
                    pass
        self.complete = len(self.descriptors) == len(COUNTER_FILES)

    def cpu_us(self):
        """CPU time of the sandbox so far; where that cannot be seen, that of the processes reaped so far."""
        text = self._read("cpu")
        if text.startswith(b"usage_usec"):
            return int(text.split()[1])
        if text:
            return int(text) // 1000
        times = os.times()
        return int((times.children_user + times.children_system) * 1e6)

    def peak_bytes(self):
        return int(self._read("peak") or b"0")

    def oom_kills(self):
        words = self._read("oom").split()
        return int(words[words.index(b"oom_kill") + 1]) if b"oom_kill" in words else 0

    def _read(self, name):
        descriptor = self.descriptors.get(name)
        return b"" if descriptor is None else os.pread(descriptor, 4096, 0)
