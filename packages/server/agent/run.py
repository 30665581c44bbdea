"""Following a process to its end: feeds it, forwards what it prints, reaps whatever dies meanwhile."""

import os
import select

import _signal

from agent.channel import CHUNK_BYTES, HostGone

STDIN_PENDING_BYTES_MAX = 1 << 20
# The most that a pipe can hold (/proc/sys/fs/pipe-max-size).
PIPE_BYTES_MAX = 1 << 20


class Wakeup:
    """A descriptor that becomes readable when a child has died."""

    def __init__(self):
        self.descriptor, self._signalled = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._signalled, False)
        _signal.signal(_signal.SIGCHLD, lambda number, frame: None)
        _signal.set_wakeup_fd(self._signalled)

    def clear(self):
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            pass


class Output:
    """One output stream of the job: forwarded up to its limit, ``left``, drained beyond."""

    def __init__(self, channel, kind):
        self.channel = channel
        self.kind = kind
        self.left = 0
        self.cut = False
        self.descriptor = -1

    def attach(self, descriptor):
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor

    def forward(self):
        """Forwards one piece. Returns its size; 0 when there is none at the moment, or none to come."""
        try:
            data = os.read(self.descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return 0
        size = len(data)
        if not size:
            self.descriptor = -1
            return 0
        if size > self.left:
            self.cut = True
            data = data[: self.left]
        if data:
            self.left -= len(data)
            self.channel.send(self.kind, data)
        return size

    def drain(self):
        """Forwards what the process has left in the pipe, not what its children go on to write into it."""
        left = PIPE_BYTES_MAX
        while self.descriptor >= 0 and left > 0:
            size = self.forward()
            if not size:
                break
            left -= size
        self.descriptor = -1


class Stdin:
    """What the host sent for the program's stdin and the program has not taken yet."""

    def __init__(self):
        self.pending = bytearray()
        self.ended = False
        self.process = None

    def full(self):
        return len(self.pending) > STDIN_PENDING_BYTES_MAX

    def attach(self, process):
        os.set_blocking(process.stdin, False)
        self.process = process
        self.feed()

    def receive(self, kind, payload):
        if kind == b"I":
            self.pending += payload
        elif kind == b"C":
            self.ended = True
        else:
            raise ValueError("frame %r while the program runs" % kind)

    def wants_to_write(self):
        return bool(self.process is not None and self.process.stdin >= 0 and self.pending)

    def feed(self):
        if self.process is None or self.process.stdin < 0:
            self.pending.clear()
            return
        try:
            while self.pending:
                size = os.write(self.process.stdin, self.pending[:CHUNK_BYTES])
                del self.pending[:size]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.ended = True
            self.pending.clear()
        if self.ended:
            os.close(self.process.stdin)
            self.process.stdin = -1


class Follower:
    """Serves everything that can happen while a process of the job runs."""

    def __init__(self, channel, reports, outputs, stdin):
        self.channel = channel
        self.reports = reports
        self.outputs = outputs
        self.stdin = stdin
        self.wakeup = Wakeup()

    def follow(self, process):
        """Returns the wait status of the process; children that it leaves behind are not waited for."""
        for output, descriptor in zip(self.outputs, (process.stdout, process.stderr)):
            output.attach(descriptor)
        self._take_frames()
        status = self._reap(process.pid)
        while status is None:
            self._wait(process.pid)
            status = self._reap(process.pid)
        for output in self.outputs:
            output.drain()
        while self.reports.accept(process.pid):
            pass
        process.close()
        return status

    def _wait(self, pid):
        poll = select.poll()
        paused = self.stdin.full()
        poll.register(self.channel.source, 0 if paused else select.POLLIN)
        poll.register(self.wakeup.descriptor, select.POLLIN)
        poll.register(self.reports.descriptor, select.POLLIN)
        if self.stdin.wants_to_write():
            poll.register(self.stdin.process.stdin, select.POLLOUT)
        for output in self.outputs:
            if output.descriptor >= 0:
                poll.register(output.descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        for output in self.outputs:
            if output.descriptor in ready:
                output.forward()
        if self.channel.source in ready:
            if paused:
                raise HostGone()  # Only a hang-up is reported while nothing is asked for.
            self.channel.fill()
            self._take_frames()
        if self.stdin.wants_to_write() and self.stdin.process.stdin in ready:
            self.stdin.feed()
        if self.wakeup.descriptor in ready:
            self.wakeup.clear()
        if self.reports.descriptor in ready:
            self.reports.accept(pid)

    def _take_frames(self):
        frame = self.channel.take()
        while frame is not None:
            self.stdin.receive(*frame)
            frame = self.channel.take()
        if self.stdin.process is not None:
            self.stdin.feed()

    def _reap(self, pid):
        """Reaps every child that has died, adopted ones too; the status of ``pid`` once it is among them."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                raise RuntimeError("the program was reaped already") from None
            if not ended:
                return None
            if ended == pid:
                return status
