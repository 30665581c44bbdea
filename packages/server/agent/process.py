"""Starting processes of the user: the program's interpreter and the shells of pre_commands."""

import marshal
import os
import sys

import _signal

from agent.privileges import prefer_for_oom

INTERPRETER = "python3"
WAITER_SOURCE = None  # Set by the bundle: the text of waiter.py.


class Process:
    """A child with three pipes. ``prepare`` runs in the child, last before ``arguments`` are executed."""

    def __init__(self, arguments, environment, prepare=None, inherited=()):
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                _become((stdin, stdout, stderr), inherited)
                prefer_for_oom()
                if prepare is not None:
                    prepare()
                os.execvpe(arguments[0], arguments, environment)
            except BaseException as error:
                os.write(2, ("cannot start %s: %s\n" % (arguments[0], error)).encode())
            finally:
                os._exit(127)
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)

    def close(self):
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdin = self.stdout = self.stderr = -1


class Interpreter(Process):
    """``python3 ENTRYPOINT``, which waits inside its own start-up until it is given its job."""

    def __init__(self, entrypoint, environment, report_name, prepare=None):
        control, self.control = os.pipe()
        self.ready, ready = os.pipe()
        self.directory = "/tmp/." + os.urandom(12).hex()
        _write_waiter(self.directory, (control, ready, self.directory, report_name))
        path = environment.get("PYTHONPATH")
        environment = dict(environment)
        environment["PYTHONPATH"] = self.directory if path is None else self.directory + ":" + path
        super().__init__([INTERPRETER, entrypoint], environment, prepare, (control, ready))
        os.close(control)
        os.close(ready)

    def wait_until_ready(self):
        """Waits until the waiter is loaded, or the interpreter is gone, and removes the waiter's file."""
        os.read(self.ready, 1)
        os.close(self.ready)
        os.unlink(self.directory + "/sitecustomize.pyc")
        os.rmdir(self.directory)

    def deliver(self, job):
        """Lets the interpreter go on, as the program of ``job``."""
        message = marshal.dumps(
            {
                "argv": [job.entrypoint] + job.args,
                "environment": job.environment(),
                "eval_last_expr": job.eval_last_expr,
            }
        )
        view = memoryview(message)
        try:
            while view:
                view = view[os.write(self.control, view) :]
        except BrokenPipeError:
            pass  # The interpreter ended by itself; its exit status tells.
        os.close(self.control)

    def discard(self):
        """Ends an interpreter that never got a job."""
        os.close(self.control)
        os.waitpid(self.pid, 0)
        self.close()


def _become(streams, inherited):
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    # Undo what Python changed for the agent: the dispositions survive an exec.
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGCHLD, _signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)


def _write_waiter(directory, values):
    """Writes waiter.py, compiled, as the sitecustomize of a directory of its own.

    Compiled, because Python would write its own __pycache__ beside a source.
    """
    source = "CONTROL, READY, DIRECTORY, REPORT = %r\n%s" % (values, WAITER_SOURCE)
    code = compile(source, "sitecustomize", "exec", dont_inherit=True)
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    os.mkdir(directory, 0o755)
    target = os.open(directory + "/sitecustomize.pyc", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(target, magic + bytes(12) + marshal.dumps(code))
    finally:
        os.close(target)
