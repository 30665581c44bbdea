"""The ``sitecustomize`` of the program's interpreter, which then lets Python run the program by itself.

After this text follow a call of ``wait`` or ``begin``, and one of ``pass_on``. Nothing of it may be left for the program
to see: no module, no path, no variable, no descriptor, no file, no frame.
"""

RESULT_BYTES_MAX = 1000000

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
        capture_last_expression(os, sys, report)


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
        capture_last_expression(os, sys, report)


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


def capture_last_expression(os, sys, report):
    """Rewrites the program so that the value of a last expression is reported.

    Python runs a compiled program under any file name. The compiled one lies in place of the source for as long as it
    takes to be read; the first thing that it does is to put the source back, for tracebacks and the program itself.
    """
    import builtins
    import marshal

    path = os.path.abspath(sys.argv[0])
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        return
    # Up to Python 3.8, frames name the file as the command line did.
    name = path if sys.version_info >= (3, 9) else sys.argv[0]
    stderr, sys.stderr = sys.stderr, Warnings()
    try:
        compile(source, name, "exec", dont_inherit=True)
        warnings = sys.stderr.text
        code = compile_reporting(sys, source, name)
    except Exception:
        return  # What is wrong with it, Python says in its own way.
    finally:
        sys.stderr = stderr
    if code is None:
        return
    aside, compiled = path + ".source", path + ".compiled"
    while os.path.lexists(aside) or os.path.lexists(compiled):
        aside, compiled = aside + "~", compiled + "~"
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    try:
        with open(compiled, "xb") as file:
            file.write(magic + bytes(12) + marshal.dumps(code))
        os.rename(path, aside)
    except OSError:
        if os.path.exists(compiled):
            os.unlink(compiled)
        return
    os.rename(compiled, path)
    stderr.write(warnings)

    def restore():
        del builtins.__restore_source__
        os.rename(aside, path)
        main = sys.modules["__main__"]
        main.__loader__ = sys.modules["_frozen_importlib_external"].SourceFileLoader("__main__", main.__loader__.path)

    held = []

    def hold(value):
        del builtins.__hold_result__
        # Not the value itself, which is to end in the program's own frame.
        held.append(value is not None)
        return value

    def result(text):
        del builtins.__report_result__
        if held.pop():
            data = text.encode("utf-8", "backslashreplace")
            report(b"V", data[:RESULT_BYTES_MAX].decode("utf-8", "ignore").encode())

    builtins.__restore_source__ = restore
    builtins.__hold_result__ = hold
    builtins.__report_result__ = result


class Warnings:
    """Takes what compiling has to say, which Python says again unless it is given the compiled program."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def compile_reporting(sys, source, name):
    """The program's code, with a call that puts the source back first, and one that reports the value last.

    None when the last statement is no expression.
    """
    _ast = import_unseen(sys, "_ast")
    tree = compile(source, name, "exec", 0x400, dont_inherit=True)  # PyCF_ONLY_AST
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, _ast.Expr):
        return None

    def placed(node, place):
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            setattr(node, name, getattr(place, name))
        return node

    def call(name, args, place):
        return placed(_ast.Call(placed(_ast.Name(name, _ast.Load()), place), args, []), place)

    # The text is made by the program's own code, so that an exception in a __repr__ passes no frame of ours.
    value = last.value
    held = call("__hold_result__", [value], value)
    text = placed(_ast.JoinedStr([placed(_ast.FormattedValue(held, ord("r"), None), value)]), value)
    last.value = call("__report_result__", [text], value)
    first = 0
    while first < len(tree.body) - 1 and stays_first(_ast, tree.body, first):
        first += 1
    place = tree.body[first]
    tree.body.insert(first, placed(_ast.Expr(call("__restore_source__", [], place)), place))
    return compile(tree, name, "exec", dont_inherit=True)


def stays_first(_ast, body, index):
    """Whether Python wants this statement before all others: the docstring and imports from __future__."""
    statement = body[index]
    if isinstance(statement, _ast.ImportFrom):
        return statement.module == "__future__"
    if index or not isinstance(statement, _ast.Expr):
        return False
    return isinstance(getattr(statement.value, "value", None), str)


def pass_on():
    """Leaves the name to the sitecustomize that the image may have, or raises what Python expects when it has none."""
    import sys

    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401
