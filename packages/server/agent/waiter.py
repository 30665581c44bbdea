"""The ``sitecustomize`` of the program's interpreter: waits for the job, then lets Python run main.py by itself.

CONTROL, READY, DIRECTORY and REPORT are assigned in front of this text. Nothing of it may be left for the program to
see: no module, no path, no variable, no descriptor, no frame.
"""


def wait():
    import marshal
    import os
    import sys

    os.write(READY, b".")
    os.close(READY)
    message = b""
    while True:
        piece = os.read(CONTROL, 65536)
        if not piece:
            break
        message += piece
    os.close(CONTROL)
    if not message:
        os._exit(0)
    job = marshal.loads(message)
    sys.path.remove(DIRECTORY)
    sys.path_importer_cache.pop(DIRECTORY, None)
    # What this interpreter decided for itself in the C locale, any other would have.
    coerced = os.environ.get("LC_CTYPE")
    os.environ.clear()
    os.environ.update(job["environment"])
    if coerced is not None:
        os.environ.setdefault("LC_CTYPE", coerced)
    sys.argv[:] = job["argv"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[1:] = job["argv"]
    report = make_report(os, sys)
    report_error_at_exit(os, sys, report)
    if job["eval_last_expr"]:
        capture_last_expression(os, sys, marshal, report)


def make_report(os, sys):
    pid = os.getpid()
    path = list(sys.path)

    def report(kind, text):
        if os.getpid() != pid:
            return
        known = "_socket" in sys.modules
        now, sys.path = sys.path, path
        try:
            import _socket

            connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                connection.connect(REPORT)
                connection.sendall(kind + text.encode("utf-8", "backslashreplace"))
            finally:
                connection.close()
        except Exception:
            pass
        finally:
            sys.path = now
            if not known:
                sys.modules.pop("_socket", None)

    return report


def report_error_at_exit(os, sys, report):
    import atexit

    def own(name):
        if name.startswith("/work/"):
            return not name.startswith("/work/.local/")
        return not name.startswith(("/", "<"))

    def line_of(error):
        if isinstance(error, SyntaxError) and error.filename and own(error.filename):
            return error.lineno
        line = None
        traceback = error.__traceback__
        while traceback is not None:
            if own(traceback.tb_frame.f_code.co_filename):
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    def report_error():
        error = getattr(sys, "last_value", None)
        if isinstance(error, BaseException):
            line = line_of(error)
            report(b"E", type(error).__name__ + "\0" + ("" if line is None else str(line)))

    # Registered first, so run last, when the program's own handlers have run.
    atexit.register(report_error)
    # Before Python 3.10 the handlers belong to this module object: another import would make another.
    if sys.version_info >= (3, 10):
        del sys.modules["atexit"]


def capture_last_expression(os, sys, marshal, report):
    """Rewrites the program so that the value of a last expression is reported.

    Python runs a compiled program under any file name. The compiled one lies in place of the source for as long as it
    takes to be read; the first thing that it does is to put the source back, for tracebacks and the program itself.
    """
    import _ast
    import builtins

    del sys.modules["_ast"]
    path = os.path.abspath(sys.argv[0])
    with open(path, "rb") as file:
        source = file.read()
    try:
        tree = compile(source, path, "exec", 0x400, dont_inherit=True)  # PyCF_ONLY_AST
    except Exception:
        return  # Python says the same in its own way.
    if not tree.body or not isinstance(tree.body[-1], _ast.Expr):
        return

    def write(data):
        with open(path, "wb") as file:
            file.write(data)

    def restore():
        del builtins.__restore_source__
        write(source)

    def result(value):
        del builtins.__report_result__
        if value is not None:
            report(b"V", repr(value))

    def call(name, args, place):
        node = _ast.Call(_ast.Name(name, _ast.Load()), args, [])
        for part in (node, node.func):
            part.lineno = place.lineno
            part.col_offset = place.col_offset
            part.end_lineno = place.end_lineno
            part.end_col_offset = place.end_col_offset
        return node

    last = tree.body[-1]
    last.value = call("__report_result__", [last.value], last.value)
    first = 0
    while first < len(tree.body) and stays_first(_ast, tree.body, first):
        first += 1
    statement = _ast.Expr(call("__restore_source__", [], tree.body[min(first, len(tree.body) - 1)]))
    for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
        setattr(statement, name, getattr(statement.value, name))
    tree.body.insert(first, statement)
    code = compile(tree, path, "exec", dont_inherit=True)
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    try:
        write(magic + bytes(12) + marshal.dumps(code))
    except OSError:
        write(source)
        return
    builtins.__restore_source__ = restore
    builtins.__report_result__ = result


def stays_first(_ast, body, index):
    """Whether Python wants this statement before all others: the docstring and imports from __future__."""
    statement = body[index]
    if isinstance(statement, _ast.ImportFrom):
        return statement.module == "__future__"
    if index or not isinstance(statement, _ast.Expr) or len(body) == 1:
        return False
    return isinstance(getattr(statement.value, "value", None), str)


def pass_on():
    """Leaves the name to the sitecustomize that the image may have, or raises what Python expects when it has none."""
    import sys

    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401


wait()
pass_on()
