"""From the agent's ``python3 -c`` to the zygote: a ``python3 main.py`` that stands still in its own start-up."""

import marshal
import os
import sys

from agent.process import INTERPRETER, WAITER_SOURCE, forget_coerced_locale, read_initial_environment

_START = """
import os, sys
sys.path.remove(%(directory)r)
sys.path_importer_cache.pop(%(directory)r, None)
os.environ.pop("PYTHONPATH")
os.unlink(%(directory)r + "/sitecustomize.pyc")
os.rmdir(%(directory)r)
pristine = set(sys.modules)
exec(compile(%(agent)r, "<agent>", "exec", dont_inherit=True))
serve = sys.modules["agent.zygote"].serve
# Before any fork, and kept in these globals: what nothing refers to is garbage, which a program could count.
agent_modules = [sys.modules.pop(name) for name in set(sys.modules) - pristine]
%(waiter)s
reporter = prepare()
wait(reporter, *serve(%(description)r))
pass_on()
"""


def start_zygote(description):
    """Executes the interpreter, with the agent and the zygote as its sitecustomize. Never returns.

    ``description``: what all sandboxes have in common; see zygote.py.
    """
    # "python3 -I -S -c SOURCE zygote": the agent's own text.
    with open("/proc/self/cmdline", "rb") as line:
        agent = line.read().split(b"\0")[4].decode()
    directory = "/tmp/." + os.urandom(12).hex()
    values = {"directory": directory, "agent": agent, "waiter": WAITER_SOURCE, "description": description}
    source = _START % values
    code = compile(source, "sitecustomize", "exec", dont_inherit=True)
    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    os.mkdir(directory, 0o755)
    with open(directory + "/sitecustomize.pyc", "wb") as target:
        target.write(magic + bytes(12) + marshal.dumps(code))
    forget_coerced_locale(read_initial_environment())
    os.chdir("/work")
    os.execvpe(INTERPRETER, [INTERPRETER, "main.py"], dict(os.environ, PYTHONPATH=directory))
