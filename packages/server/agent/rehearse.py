"""Doing once, without effect, what a run does.

In a fork every page that is written to must be copied first. So that happens while the sandbox waits, rather than while
somebody waits for the run.
"""

import marshal
import os

from agent.channel import Channel
from agent.job import WORK, Job

NAME = b"main.py"


def _frame(kind, payload=b""):
    return kind + len(payload).to_bytes(4, "big") + payload


_HEADER = (NAME.ljust(100, b"\0") + b"0000644\0").ljust(124, b"\0") + b"00000000001\0"
_ARCHIVE = _HEADER.ljust(512, b"\0") + b"\n".ljust(512, b"\0")
_FRAMES = _frame(b"L", bytes(16)) + _frame(b"M", NAME) + _frame(b"T", _ARCHIVE) + _frame(b"G")


def rehearse_job():
    """Receives a job of one small file, and removes the file again."""
    channel = Channel(-1, -1)
    channel.buffer += _FRAMES
    job = Job()
    job.receive(channel, None)
    job.needs_new_interpreter()
    marshal.dumps(job.environment())
    os.unlink(WORK + "/" + os.fsdecode(NAME))


def renew_main(sys):
    """Gives the program a module of its own: one from before the fork would never be collected with what is in it."""
    main = type(sys)("__main__")
    vars(main).update(vars(sys.modules["__main__"]))
    sys.modules["__main__"] = main


def rehearse_start(sys):
    """What an interpreter does between its job and the first line of the program."""
    variables = dict(os.environ)
    marshal.loads(marshal.dumps({"environment": variables}))
    os.environ.clear()
    os.environ.update(variables)
    try:
        __import__("no such module")
    except ImportError:
        pass
    for hook in sys.path_hooks:
        try:
            hook("main.py")
        except ImportError:
            pass
    exec(compile("x = 1\n", "main.py", "exec", dont_inherit=True), {})
