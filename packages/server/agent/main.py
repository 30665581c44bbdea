"""The program inside every sandbox, pid 1: takes one job from the host, runs it, says how it ended.

Standard library only, Python 3.8 or newer, and as few imports as can be: each is paid for at every start. The user's
program is the real ``python3 main.py``, started before the job is there and waiting inside its own start-up
(waiter.py); with the job it falls through into what Python does anyway.
"""

import os
import time

import _signal

from agent.channel import Channel, HostGone
from agent.counters import COUNTER_FILES, Counters
from agent.job import WORK, Job
from agent.privileges import USER_ID, drop_privileges, hide_from_user
from agent.process import Interpreter, NewInterpreter, Process, forget_coerced_locale, read_initial_environment
from agent.report import Reports
from agent.run import Follower, Output, Stdin

SHELL = "/bin/sh"


def main(privilege, *description):
    """``privilege``: "program" or "setup".

    "zygote" makes an interpreter that sandboxes are forked from (zygote.py), all according to ``description``.
    """
    if privilege == "zygote":
        from agent.bootstrap import start_zygote

        start_zygote(*description)
    # Of all signals only those with a handler reach pid 1, and Python installs one for this.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    channel = take_channel()
    # Before privileges are dropped: that makes this process undumpable, and its own environ unreadable.
    forget_coerced_locale(read_initial_environment())
    if privilege != "setup" and os.getuid() == 0:
        drop_privileges()
    os.chdir(WORK)
    # After pre_commands the interpreter's start-up may find other things than before.
    ahead = None if privilege == "setup" else start_interpreter
    try:
        Agent(channel, ahead, Counters(COUNTER_FILES)).serve()
    except HostGone:
        pass
    finally:
        # Nothing in the sandbox outlives pid 1.
        os._exit(0)


def take_channel():
    """Moves the host's pipes away from descriptors 0 and 1, where the user's processes have theirs."""
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return channel


def start_interpreter(report_name):
    return Interpreter(os.environ, report_name)


class Agent:
    """One job, from the first frame to the last.

    ``ahead`` starts the interpreter that waits for the job; None: there are pre_commands, which the agent runs as root
    of the sandbox, and only then an interpreter, as the user. ``counters``: of the sandbox, see counters.py.
    """

    def __init__(self, channel, ahead, counters):
        self.channel = channel
        self.counters = counters
        self.owner = USER_ID if ahead is None else None
        self.prepare = drop_privileges if ahead is None else None
        self.reports = Reports()
        self.stdin = Stdin()
        self.outputs = (Output(channel, b"O"), Output(channel, b"e"))
        self.follower = Follower(channel, self.reports, self.outputs, self.stdin)
        self.interpreter = None if ahead is None else ahead(self.reports.name)

    def serve(self):
        hide_from_user()
        if self.interpreter is not None:
            self.interpreter.wait_until_ready()
        self.channel.send(b"R")
        job = Job()
        job.receive(self.channel, self.owner)
        began_ns = time.monotonic_ns()
        counters = self.counters
        cpu_us_before = counters.cpu_us()
        ending = self._run(job)
        ending["wall_us"] = (time.monotonic_ns() - began_ns) // 1000
        ending["cpu_us"] = counters.cpu_us() - cpu_us_before
        ending["peak_bytes"] = counters.peak_bytes()
        ending["oom_kills"] = counters.oom_kills()
        ending["counted"] = int(counters.complete)
        self._say_end(ending)

    def _run(self, job):
        outputs = self.outputs
        outputs[0].left, outputs[1].left = job.stdout_bytes_max, job.stderr_bytes_max
        phase, status = "setup", 0
        if not job.disk_full:
            status = self._run_pre_commands(job)
            if status == 0:
                phase = "run"
                self.channel.send(b"H", b"run")
                status = self._run_program(job)
        return {
            "phase": phase,
            "disk_full": int(job.disk_full),
            "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "stdout_cut": int(outputs[0].cut),
            "stderr_cut": int(outputs[1].cut),
        }

    def _run_pre_commands(self, job):
        """The wait status of the first that fails, or 0."""
        for command in job.pre_commands:
            process = Process([SHELL, "-c", command], job.environment())
            os.close(process.stdin)  # The job's stdin is the program's.
            process.stdin = -1
            status = self.follower.follow(process)
            if status:
                return status
        return 0

    def _run_program(self, job):
        if self.interpreter is not None and not job.needs_new_interpreter():
            program = self.interpreter
            program.deliver(job)
        else:
            if self.interpreter is not None:
                self.interpreter.discard()
            program = NewInterpreter(job, self.reports.name, self.prepare)
        self.stdin.attach(program)
        return self.follower.follow(program)

    def _say_end(self, ending):
        name, line = self.reports.error()
        if ending["exit_code"] == 1 or ending["signal"] == _signal.SIGINT:
            self.channel.send(b"X", name + b"\0" + line)
        result = self.reports.result()
        if result is not None:
            self.channel.send(b"V", result)
        self.channel.send(b"Z", " ".join("%s=%s" % item for item in ending.items()).encode())
        # What the program left behind ends now; the agent stays until the host has read the counters.
        try:
            os.kill(-1, _signal.SIGKILL)
        except OSError:
            pass
        while True:
            self.channel.skip()
