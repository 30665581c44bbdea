"""Starting processes of the user: the interpreter of the program and the shells of pre_commands."""

import marshal
import os

import _signal

from agent.privileges import PR_SET_DUMPABLE, USER_ID, prctl, prefer_for_oom

INTERPRETER = "python3"
# Where descriptors are put aside; none is in use from there on.
ASIDE = 100
DESCRIPTORS_MAX = 1024
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
                # Else the file by which to prefer it belongs to root. Executing does the same.
                prctl(PR_SET_DUMPABLE, 1)
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
    """``python3 main.py``, which waits inside its own start-up until it is given its job."""

    def __init__(self, environment, report_name):
        control, self.control = os.pipe()
        self.ready, ready = os.pipe()
        directory = new_directory()
        write_waiter(directory, "wait(prepare(), *%r)" % ((control, ready, report_name),))
        environment = put_on_path(directory, environment)
        super().__init__([INTERPRETER, "main.py"], environment, inherited=(control, ready))
        os.close(control)
        os.close(ready)

    def wait_until_ready(self):
        """Waits until the waiter is loaded, or the interpreter is gone."""
        os.read(self.ready, 1)
        os.close(self.ready)

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
        self.close()


class NewInterpreter(Process):
    """``python3 ENTRYPOINT ARGUMENTS`` for a job, which runs from its start: that may be the user's code already."""

    def __init__(self, job, report_name, prepare=None):
        environment = job.environment()
        directory = new_directory()
        values = (report_name, environment.get("PYTHONPATH"), job.eval_last_expr)
        write_waiter(directory, "begin(prepare(), *%r)" % (values,))
        if prepare is not None:
            os.chown(directory, USER_ID, USER_ID)
        arguments = [INTERPRETER, job.entrypoint] + job.args
        super().__init__(arguments, put_on_path(directory, environment), prepare)


class ForkedInterpreter:
    """What :class:`Interpreter` is, forked from the interpreter that this agent itself is a fork of.

    In the child the constructor raises :class:`Program`, up to where the start-up of that interpreter stands still.
    """

    def __init__(self, report_name):
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        control, self.control = os.pipe()
        self.ready, ready = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            reset_signals()
            # What Python sets when it starts.
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            os.setsid()
            for number, descriptor in enumerate((stdin, stdout, stderr, control, ready)):
                os.dup2(descriptor, number + ASIDE)
            for number in range(3):
                os.dup2(number + ASIDE, number)
            # The other two stay where they are: objects of the agent that go now close the numbers that they had.
            os.closerange(3, ASIDE + 3)
            os.closerange(ASIDE + 5, DESCRIPTORS_MAX)
            prctl(PR_SET_DUMPABLE, 1)
            prefer_for_oom()
            raise Program(ASIDE + 3, ASIDE + 4, report_name)
        for descriptor in (stdin, stdout, stderr, control, ready):
            os.close(descriptor)

    def wait_until_ready(self):
        os.read(self.ready, 1)
        os.close(self.ready)

    deliver = Interpreter.deliver
    discard = Interpreter.discard
    close = Process.close


class Program(BaseException):
    """Raised in a process that is to become a program. ``values``: what the waiter is to wait with."""

    def __init__(self, *values):
        super().__init__()
        self.values = values


def forget_coerced_locale(initial_environment):
    """Python sets LC_CTYPE for itself in the C locale; the user's processes decide that on their own."""
    if not any(entry.startswith(b"LC_CTYPE=") for entry in initial_environment.split(b"\0")):
        os.environ.pop("LC_CTYPE", None)


def read_initial_environment():
    """The environment that this process was started with, as the kernel has it. Not to be had any more once hidden."""
    with open("/proc/self/environ", "rb") as environment:
        return environment.read()


def reset_signals():
    """Undoes what the agent changed for itself."""
    _signal.set_wakeup_fd(-1)
    for number in (_signal.SIGCHLD, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)


def _become(streams, inherited):
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    reset_signals()
    # Python ignores these for itself, and what is ignored stays so over an exec.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)


def new_directory():
    return "/tmp/." + os.urandom(12).hex()


def put_on_path(directory, environment):
    path = environment.get("PYTHONPATH")
    return dict(environment, PYTHONPATH=directory + ":" + path if path else directory)


def write_waiter(directory, call):
    """Writes waiter.py, ending with ``call``, as the sitecustomize of a directory of its own. It removes both itself."""
    os.mkdir(directory, 0o755)
    target = os.open(directory + "/sitecustomize.py", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        text = "%s\nforget(%r)\n%s\npass_on()\n" % (WAITER_SOURCE, directory, call)
        os.write(target, text.encode())
    finally:
        os.close(target)
    # Python would write a __pycache__ beside it.
    os.chmod(directory, 0o555)
