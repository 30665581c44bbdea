"""An interpreter that is up already and from which sandboxes are forked. No user code ever runs in it.

It is pid 1 of a container of its own, with the root file system of its sandboxes, and the root of its user namespace.
See inside.py for what becomes of a fork. One connection to its socket is one sandbox: the connection is
the channel of the sandbox's agent, and closing it ends the sandbox. The first line of the host on it says how this
sandbox differs from others, as ``key=value`` words:

* ``cgroup=NAME``: of a directory in every cgroup tree; joined before anything else
* ``mount=TYPE:TARGET:FLAGS:OPTIONS``: what is mounted there

The zygote itself is started with such words for what all sandboxes have in common. Besides ``mount`` these are
``mask=PATH`` and ``readonly=PATH``: what not to show, and not to let change.
"""

import fcntl
import gc
import os
import select
import sys

import _signal
import _socket

from agent import namespaces
from agent.channel import Channel, HostGone
from agent.counters import Counters
from agent.inside import become_agent, become_program
from agent.privileges import drop_privileges, hide_from_user
from agent.process import DESCRIPTORS_MAX, Program, reset_signals
from agent.run import Wakeup

# On a file system that sandboxes do not see: they get a /tmp of their own.
RUN_DIRECTORY = "/tmp/zygote"
SOCKET = RUN_DIRECTORY + "/socket"
NEW_PROC = "/tmp/proc"
DESCRIPTION_BYTES_MAX = 16384
LISTEN_BACKLOG = 1024
POLLRDHUP = 0x2000


def serve(description):
    """Serves connections for ever. Returns only in the process of a program, what the waiter is to wait with."""
    try:
        Zygote(parse(description)).loop()
    except Program as program:
        return become_program(program)


class Zygote:
    def __init__(self, description):
        self.steps = plan(description)
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        self.listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.listener.bind(SOCKET)
        self.listener.listen(LISTEN_BACKLOG)
        self.listener.setblocking(False)
        self.pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self.wakeup = Wakeup()
        self.poll = select.poll()
        self.poll.register(self.listener.fileno(), select.POLLIN)
        self.poll.register(self.wakeup.descriptor, select.POLLIN)
        # Its other end is the server's, whose end is ours.
        self.poll.register(0, 0)
        self.sandboxes = {}
        self.connections = {}
        os.mkdir(NEW_PROC)
        hide_from_user()
        gc.collect()
        gc.freeze()
        os.write(1, b"R")

    def loop(self):
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor == self.listener.fileno():
                    self.accept()
                elif descriptor == self.wakeup.descriptor:
                    self.wakeup.clear()
                    self.reap()
                elif descriptor == 0:
                    # With the first process of its PID namespace every sandbox ends.
                    os._exit(0)
                elif descriptor in self.connections:
                    self.end(self.connections[descriptor])

    def accept(self):
        try:
            connection, _ = self.listener._accept()
        except OSError:
            return
        # The child is the first of a PID namespace, this process stays where it is.
        namespaces.call("unshare", namespaces.CLONE_NEWPID)
        pid = os.fork()
        if not pid:
            become_sandbox(connection, self.steps)
        namespaces.call("setns", self.pid_namespace, namespaces.CLONE_NEWPID)
        self.sandboxes[pid] = connection
        self.connections[connection] = pid
        self.poll.register(connection, POLLRDHUP)

    def end(self, pid):
        """The host has closed the connection: with its first process the whole sandbox ends."""
        self.forget(pid)
        os.kill(pid, _signal.SIGKILL)

    def forget(self, pid):
        connection = self.sandboxes.pop(pid, None)
        if connection is not None:
            del self.connections[connection]
            self.poll.unregister(connection)
            os.close(connection)

    def reap(self):
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.forget(pid)


def become_sandbox(connection, steps):
    """In the first process of a new sandbox: gives up everything else, then is its agent. Never returns."""
    try:
        # Descriptors 0 to 2 lead to the container's log; all others belong to the zygote and to neighbours.
        os.dup2(connection, 3, inheritable=False)
        os.closerange(4, DESCRIPTORS_MAX)
        channel = Channel(3, 3)
        reset_signals()
        isolate(parse(read_line(channel)), steps)
    except HostGone:
        os._exit(0)
    except BaseException as error:
        os.write(2, ("sandbox: %r\n" % error).encode())
        os._exit(0)
    # A sandbox sees no cgroup; the host counts.
    become_agent(channel, Counters({}))


def read_line(channel):
    """The first line on the connection."""
    while b"\n" not in channel.buffer:
        if len(channel.buffer) > DESCRIPTION_BYTES_MAX:
            raise ValueError("description of more than %d bytes" % DESCRIPTION_BYTES_MAX)
        channel.fill()
    line, _, rest = bytes(channel.buffer).partition(b"\n")
    channel.buffer[:] = rest
    return line.decode()


def parse(description):
    """Words as a list of (key, value)."""
    return [tuple(word.split("=", 1)) for word in description.split()]


def plan(description):
    """What to do for every sandbox, as a list of functions with their arguments. Some of it is done here, for all.

    A file that this kernel does not have needs no masking. What a sandbox mounts anew is unmounted.
    """
    steps = []
    os.chdir("/")
    namespaces.unmount("/work")
    for key, value in description:
        if key == "mount":
            kind, target, flags, options = value.split(":")
            namespaces.unmount(target)
            steps.append((namespaces.mount, (kind, target, kind, int(flags), options)))
        elif key == "mask" and os.path.isdir(value):
            steps.append((namespaces.hide_directory, (value,)))
        elif key == "mask" and os.path.exists(value):
            steps.append((namespaces.hide_file, (value,)))
        elif key == "readonly" and os.path.exists(value):
            steps.append((namespaces.make_readonly, (value,)))
        elif key not in ("mask", "readonly"):
            raise ValueError("description has %r" % key)
    return steps


def isolate(description, steps):
    """Leaves everything that the zygote shares with its sandboxes but the root file system, read-only as it is."""
    (key, cgroup), *mounts = description
    if key != "cgroup":
        raise ValueError("description begins with %r" % key)
    join_cgroup(cgroup)
    namespaces.call(
        "unshare",
        namespaces.CLONE_NEWNS
        | namespaces.CLONE_NEWIPC
        | namespaces.CLONE_NEWUTS
        | namespaces.CLONE_NEWNET
        | namespaces.CLONE_NEWCGROUP,
    )
    mount_proc()
    # What else the zygote has lies on this one.
    namespaces.unmount("/tmp")
    for key, value in mounts:
        if key != "mount":
            raise ValueError("description has %r" % key)
        kind, target, flags, options = value.split(":")
        namespaces.mount(kind, target, kind, int(flags), options)
    for act, arguments in steps:
        act(*arguments)
    bring_up_loopback()
    os.setsid()
    drop_privileges()
    namespaces.forbid_namespaces()
    os.chdir("/work")


def mount_proc():
    """The /proc of the sandbox's own processes in place of the zygote's, which must be there while the other is made."""
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
    namespaces.mount("proc", NEW_PROC, "proc", flags)
    namespaces.unmount("/proc")
    namespaces.mount(NEW_PROC, "/proc", "", namespaces.MS_MOVE)


def join_cgroup(name):
    for tree in os.listdir(RUN_DIRECTORY):
        directory = "%s/%s/%s/" % (RUN_DIRECTORY, tree, name)
        if not tree.startswith("cgroup"):
            continue
        # With version 1 a thread that moves itself alone need not wait for all others of the machine.
        file = "tasks" if os.path.exists(directory + "tasks") else "cgroup.procs"
        target = os.open(directory + file, os.O_WRONLY)
        try:
            os.write(target, b"0")
        finally:
            os.close(target)


def bring_up_loopback():
    """Sets the interface up that every network namespace is made with, as an engine does."""
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    socket = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    fcntl.ioctl(socket.fileno(), SIOCSIFFLAGS, b"lo".ljust(16, b"\0") + IFF_UP.to_bytes(2, sys.byteorder) + bytes(22))
    socket.close()
