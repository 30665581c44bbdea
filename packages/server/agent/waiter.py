"""The ``sitecustomize`` of the program's interpreter, which then lets Python run the program by itself.

The text of expression.py stands before this one; after it follow a call of ``wait`` or ``begin``, and one of
``pass_on``. Nothing of it may be left for the program to see: no module, no path, no variable, no descriptor, no file,
no frame.
"""

kept = []


def wait(control, ready, report_name, directory=None):
    """Waits for the job. ``directory`` is where this text lies, None when the interpreter has forgotten it already."""
    import os
    import sys

    if directory is not None:
        forget(directory)
    report = make_report(os, sys, report_name)
    report_error_at_exit(os, sys, report)
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
        capture_last_expression(os, sys, import_unseen(sys, "_ast"), report)


def begin(report_name, directory, python_path, eval_last_expr):
    """In an interpreter that was started for its job: only prepares the reports."""
    import os
    import sys

    forget(directory)
    if python_path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = python_path
    report = make_report(os, sys, report_name)
    report_error_at_exit(os, sys, report)
    if eval_last_expr:
        capture_last_expression(os, sys, import_unseen(sys, "_ast"), report)


def forget(directory):
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


def make_report(os, sys, name):
    # Loaded now, while no module of the program can be in its place.
    _socket = import_unseen(sys, "_socket")
    pid = os.getpid()

    def report(kind, data):
        if os.getpid() != pid:
            return
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.connect(name)
            connection.sendall(kind + data, _socket.MSG_NOSIGNAL)
        except OSError:
            pass
        finally:
            connection.close()

    return report


def report_error_at_exit(os, sys, report):
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
            report(b"E", text.encode("utf-8", "backslashreplace"))
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
    # Registered first, so run last, when the program's own handlers have run.
    atexit.register([].extend, chain(starmap(report_error, reports), resume))


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
