"""Reporting the value of a program's last expression, for waiter.py."""

RESULT_BYTES_MAX = 1000000


def capture_last_expression(os, sys, _ast, report):
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
        code = compile_reporting(_ast, source, name)
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


def compile_reporting(_ast, source, name):
    """The program's code, with a call that puts the source back first, and one that reports the value last.

    None when the last statement is no expression.
    """
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
