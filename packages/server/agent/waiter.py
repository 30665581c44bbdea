"""The ``sitecustomize`` of the program's interpreter, which then lets Python run the program by itself.

The texts of expression.py and leave.py stand before this one; after it follow a call of ``wait`` or ``begin``, and
one of ``pass_on``. Nothing of it may be left for the program to see: no module, no path, no variable, no descriptor, no
file, no frame.
"""

kept = []


def prepare():
    """Does what need not wait until it is known which process is to be the program."""
    import os
    import sys

    reporter = Reporter(os, import_unseen(sys, "_socket"))
    work_at_exit(os, sys, reporter)
    return reporter


def wait(reporter, control, ready, report_name):
    """Waits for the job."""
    import os
    import sys

    reporter.begin(report_name, sys.modules)
    job = receive_job(os, control, ready)
    # What this interpreter decided for itself in the C locale, any other would have.
    coerced = os.environ.get("LC_CTYPE")
    os.environ.clear()
    os.environ.update(job["environment"])
    if coerced is not None:
        os.environ.setdefault("LC_CTYPE", coerced)
    sys.argv[:] = job["argv"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[1:] = job["argv"]
    if job["eval_last_expr"]:
        capture_last_expression(os, sys, import_unseen(sys, "_ast"), reporter.report)


def begin(reporter, report_name, python_path, eval_last_expr):
    """In an interpreter that was started for its job: only prepares the reports."""
    import os
    import sys

    if python_path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = python_path
    reporter.begin(report_name, sys.modules)
    if eval_last_expr:
        capture_last_expression(os, sys, import_unseen(sys, "_ast"), reporter.report)


def forget(directory):
    """Removes the traces of this text, which lies in a directory of its own."""
    import os
    import sys

    sys.path.remove(directory)
    sys.path_importer_cache.pop(directory, None)
    os.chmod(directory, 0o755)
    os.unlink(directory + "/sitecustomize.py")
    os.rmdir(directory)
    # There is one with PYTHONPYCACHEPREFIX alone.
    cached = __spec__.cached
    if cached is not None and os.path.exists(cached):
        os.unlink(cached)
        os.removedirs(os.path.dirname(cached))


def receive_job(os, control, ready):
    import marshal

    os.write(ready, b".")
    os.close(ready)
    message = b""
    while True:
        piece = os.read(control, 65536)
        if not piece:
            break
        message += piece
    os.close(control)
    if not message:
        os._exit(0)
    return marshal.loads(message)


class Reporter:
    """Tells the agent what it cannot see from outside. Only the process of the program itself does, not its forks."""

    def __init__(self, os, _socket):
        # Loaded before, while no module of the program can be in its place.
        self.socket = _socket
        self.getpid = os.getpid
        self.pid = self.name = self.main = None

    def begin(self, name, modules):
        self.pid = self.getpid()
        self.name = name
        # The program's module, which ends with what is in it only if nothing refers to it.
        self.main = modules["_weakref"].ref(modules["__main__"])

    def is_program(self):
        return self.getpid() == self.pid

    def report(self, kind, data):
        if not self.is_program():
            return
        connection = self.socket.socket(self.socket.AF_UNIX, self.socket.SOCK_STREAM)
        try:
            connection.connect(self.name)
            connection.sendall(kind + data, self.socket.MSG_NOSIGNAL)
        except OSError:
            pass
        finally:
            connection.close()


def work_at_exit(os, sys, reporter):
    """Has the exception that ended the program reported, and the process ended early, after all exit handlers."""
    itertools = import_unseen(sys, "itertools")
    starmap, compress, chain = itertools.starmap, itertools.compress, itertools.chain
    # Before Python 3.10 the handlers belong to this module object: another import would make another.
    atexit = import_unseen(sys, "atexit") if sys.version_info >= (3, 10) else __import__("atexit")

    def own(name):
        if name.startswith("/work/"):
            return not name.startswith("/work/.local/")
        return not name.startswith(("/", "<"))

    def line_of(error):
        if isinstance(error, SyntaxError) and isinstance(error.filename, str) and own(error.filename):
            return error.lineno
        line = None
        traceback = error.__traceback__
        while traceback is not None:
            if own(traceback.tb_frame.f_code.co_filename):
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    traces, profiles = [], []

    def report_error(error, trace, profile, *_):
        traces.append((trace,))
        profiles.append((profile,))
        try:
            text = "%s\0%s" % (type(error).__name__, line_of(error) or "")
            reporter.report(b"E", text.encode("utf-8", "backslashreplace"))
        except Exception:
            pass  # The exception's own attributes may do anything.

    def call(function, *args):
        return starmap(function, [args])

    # Iterators that are evaluated at exit: nothing written in Python is called unless there is an exception, and
    # neither traced nor profiled then.
    errors = compress(
        call(vars(sys).get, "last_value"), map(isinstance, call(vars(sys).get, "last_value"), [BaseException])
    )
    reports = zip(
        errors, call(sys.gettrace), call(sys.getprofile), call(sys.settrace, None), call(sys.setprofile, None)
    )
    resume = chain(starmap(sys.settrace, traces), starmap(sys.setprofile, profiles))
    nothing = [type(None)]
    untraced = compress(
        compress([()], map(isinstance, call(sys.gettrace), nothing)), map(isinstance, call(sys.getprofile), nothing)
    )
    leaving = starmap(prepare_to_leave(os, sys, reporter), untraced)
    # Registered first, so run last, when the program's own handlers have run.
    atexit.register([].extend, chain(starmap(report_error, reports), resume, leaving))


def import_unseen(sys, name):
    """The library's module, so that the program's own import of it finds nothing imported yet."""
    seen = name in sys.modules
    path = sys.path
    # With PYTHONPATH, the user's modules come first.
    sys.path = [entry for entry in path if entry.startswith((sys.base_prefix, sys.base_exec_prefix))]
    try:
        module = __import__(name)
    finally:
        sys.path = path
    if not seen:
        del sys.modules[name]
        # A module that nothing refers to is garbage, which the program could count.
        kept.append(module)
    return module


def pass_on():
    """Leaves the name to the sitecustomize that the image may have, or raises what Python expects when it has none."""
    import sys

    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401
