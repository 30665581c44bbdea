"""Packs the agent for ``python3 main.py``: a zip archive with a compiled sitecustomize, which that interpreter gets as
an open file. It starts once, with nothing to compile, and the program is a fork of it (inside.py).

Runs once for each root file system, in a sandbox with its interpreter, which prints the archive. The bundle calls
``print_archive`` with the sources of the agent's modules.
"""

import marshal
import sys

# Where the interpreter finds the archive; the host puts the file there (sandbox/oci/preload.ts).
DESCRIPTOR = 3
PATH = "/proc/self/fd/%d" % DESCRIPTOR

_START = """
import marshal, os, sys
sys.path.remove(PATH)
sys.path_importer_cache.pop(PATH, None)
sys.modules["zipimport"]._zip_directory_cache.pop(PATH, None)
os.close(DESCRIPTOR)
rest = os.environ.pop("PYTHONPATH")[len(PATH) + 1 :]
if rest:
    os.environ["PYTHONPATH"] = rest
modules, waiter_source, waiter = marshal.loads(PARTS)
pristine = set(sys.modules)
for name, code in modules:
    sys.modules[name] = type(sys)(name)
    exec(code, vars(sys.modules[name]))
    if name == "agent.process":
        sys.modules[name].WAITER_SOURCE = waiter_source
serve = sys.modules["agent.inside"].serve
# Before any fork, and kept in these globals: what nothing refers to is garbage, which a program could count.
agent_modules = [sys.modules.pop(name) for name in set(sys.modules) - pristine]
exec(waiter)
reporter = prepare()
wait(reporter, *serve())
pass_on()
"""


def print_archive(sources, waiter_source):
    """``sources``: (name, text) of modules, each after those that it imports."""
    import io
    import zipfile

    def compiled(text, name):
        return compile(text, name, "exec", dont_inherit=True)

    modules = [(name, compiled(text, "<%s>" % name)) for name, text in sources]
    parts = marshal.dumps((modules, waiter_source, compiled(waiter_source, "sitecustomize")))
    head = "PATH, DESCRIPTOR, PARTS = %r, %r, %r\n" % (PATH, DESCRIPTOR, parts)
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("sitecustomize.pyc", magic + bytes(12) + marshal.dumps(compiled(head + _START, "sitecustomize")))
    sys.stdout.buffer.write(archive.getvalue())
