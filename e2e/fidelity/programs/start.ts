import { type Program, py, withoutAddresses } from '../program.js';

/** What a program can see of itself at its start. */
export const start: readonly Program[] = [
  {
    name: 'arguments: none',
    main: py`
import sys
print(sys.argv, getattr(sys, "orig_argv", None), len(sys.argv))
`,
  },
  {
    name: 'arguments: awkward ones',
    main: py`
import sys
for argument in sys.argv:
    print(ascii(argument))
print(getattr(sys, "orig_argv", None))
`,
    args: [
      'a b',
      "it's",
      '"q"',
      '$(id)',
      '`id`',
      '; rm -rf /',
      '',
      '-x',
      '--help',
      '-c',
      '-',
      '--',
      'ünï✓',
      '\\n',
      '*',
      '\n',
    ],
  },
  {
    name: 'import paths and importers',
    main: py`
import sys
print(sys.path, sys.path[0])
print(sorted(sys.path_importer_cache), [hook.__qualname__ for hook in sys.path_hooks])
print([getattr(finder, "__name__", finder) for finder in sys.meta_path])
`,
    normalise: withoutAddresses,
  },
  {
    name: 'flags and options',
    main: py`
import sys
print(sys.flags, sys._xoptions, sys.warnoptions, sys.dont_write_bytecode, getattr(sys, "pycache_prefix", None))
print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.getdlopenflags(), sys.gettrace(), sys.getprofile())
print(sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth(), sys.exc_info(), sys.is_finalizing())
`,
  },
  {
    name: 'loaded modules, in their order',
    main: py`
import sys
if sys.version_info < (3, 10):
    # There the service's report of exceptions keeps it loaded.
    sys.modules.pop("atexit", None)
print(list(sys.modules))
print({name: str(getattr(module, "__spec__", None)) for name, module in sys.modules.items() if name != "__main__"})
`,
    normalise: withoutAddresses,
  },
  {
    name: 'attributes of __main__',
    main: py`
"""The doc."""
import sys
main = sys.modules["__main__"]
print([(name, type(value), value if name != "__loader__" else value.__dict__) for name, value in vars(main).items()
       if name not in ("sys", "main")])
print(__loader__.get_source("__main__") == open(__file__).read(), __loader__.get_filename("__main__"))
import builtins
print(__builtins__ is builtins, __spec__, __name__)
`,
    normalise: withoutAddresses,
  },
  {
    name: 'names in sys and in builtins',
    main: py`
import builtins, sys
print(list(vars(sys)))
print(list(vars(builtins)))
print(sys.excepthook is sys.__excepthook__, sys.displayhook, sys.excepthook, sys.unraisablehook, sys.breakpointhook)
print(sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
`,
  },
  {
    name: 'environment, whole and in order',
    main: py`
import os
for name, value in os.environ.items():
    print(f"{name}={value}")
`,
    env: ['B=2', 'A=1', 'EMPTY=', 'EQUALS=a=b=c', 'SPACE= x ', 'UNICODE=ünï✓', 'LINES=a\nb', 'B=3', 'lower=x'],
  },
  {
    name: 'environment as children see it',
    main: py`
import os, subprocess, sys
print(subprocess.run(["env"], capture_output=True, text=True).stdout)
os.environ["ADDED"] = "1"
del os.environ["HOME"]
sys.stdout.flush()
os.system("env")
subprocess.run([sys.executable, "-c", "import os, sys; print(os.environ, sys.path, sys.argv)"])
`,
    env: ['B=2', 'A=1'],
  },
  {
    name: 'directory, user, groups, mask, limits',
    main: py`
import os, resource
print(os.getcwd(), os.getuid(), os.geteuid(), os.getgid(), os.getegid())
print(oct(os.umask(0)), os.nice(0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)), os.cpu_count())
for name in sorted(name for name in dir(resource) if name.startswith("RLIMIT_")):
    print(name, resource.getrlimit(getattr(resource, name)))
print(os.getpriority(os.PRIO_PROCESS, 0), os.path.expanduser("~"), os.uname().nodename)
`,
  },
  {
    name: 'process, group and session',
    main: py`
import os
print(os.getpid() == os.getpgid(0) == os.getsid(0), os.getpid() == os.getpgrp(), os.getppid())
try:
    os.setsid()
except OSError as error:
    print(error)
try:
    print(os.tcgetpgrp(0))
except OSError as error:
    print(error)
try:
    open("/dev/tty")
except OSError as error:
    print(error)
`,
  },
  {
    name: 'signal handlers and masks',
    main: py`
import signal
for number in range(1, signal.NSIG):
    try:
        print(number, signal.getsignal(number))
    except ValueError as error:
        print(number, error)
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.sigpending(), signal.getitimer(signal.ITIMER_REAL))
print(signal.set_wakeup_fd(-1))
print([line for line in open("/proc/self/status") if line.startswith(("Sig", "Shd", "Threads", "Umask", "NSpid", "Name"))
       and not line.startswith(("SigQ", "NSpid"))])
`,
    normalise: withoutAddresses,
  },
  {
    name: 'garbage collection',
    main: py`
import gc
print(gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.garbage, gc.get_debug(), gc.collect())
`,
  },
  {
    name: 'encodings and locale',
    main: py`
import locale, sys, time
print(sys.getdefaultencoding(), sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
print(locale.getpreferredencoding(), locale.getpreferredencoding(False), locale.setlocale(locale.LC_ALL))
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.encoding, stream.errors, stream.newlines, stream.line_buffering, stream.write_through, stream)
print(time.tzname, time.timezone, time.daylight, sys.float_repr_style, sys.byteorder)
`,
  },
  {
    name: 'frames',
    main: py`
import inspect, sys, traceback
def depth():
    frame, count = sys._getframe(), 0
    while frame is not None:
        print(frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno, frame.f_globals is globals())
        frame, count = frame.f_back, count + 1
    return count
print(depth(), sys._getframe().f_back, [frame[1:4] for frame in inspect.stack()])
traceback.print_stack()
print(len(sys._current_frames()), inspect.currentframe().f_builtins is vars(__import__("builtins")))
code = sys._getframe().f_code
print(code.co_filename, code.co_name, code.co_flags, code.co_firstlineno, code.co_names[:4], code.co_stacksize > 0)
`,
  },
  {
    name: 'frames, as the fault handler sees them',
    main: py`
import faulthandler, sys
print(faulthandler.is_enabled())
sys.stdout.flush()
faulthandler.dump_traceback()
`,
    normalise: withoutAddresses,
  },
  {
    name: 'the interpreter itself',
    main: py`
import platform, site, sys, sysconfig
print(sys.executable, sys._base_executable, sys.prefix, sys.base_prefix, sys.exec_prefix, sys.platlibdir
      if hasattr(sys, "platlibdir") else "", sys.version_info[:2], sys.implementation.cache_tag, sys.platform)
print(site.ENABLE_USER_SITE, site.USER_SITE, site.USER_BASE, site.PREFIXES, site.getsitepackages())
print(sysconfig.get_paths(), platform.python_implementation())
`,
  },
  {
    name: 'threads',
    main: py`
import threading, os
print(threading.enumerate() == [threading.main_thread()], threading.current_thread().name, threading.active_count())
print(threading.get_native_id() == os.getpid(), os.listdir("/proc/self/task") == [str(os.getpid())], threading.stack_size())
`,
  },
  {
    name: 'what the kernel knows of the process',
    main: py`
import os
print(open("/proc/self/comm").read(), os.readlink("/proc/self/exe"), open("/proc/self/cmdline").read().split("\0"))
print(open("/proc/self/limits").read())
print(os.readlink("/proc/self/cwd"), os.readlink("/proc/self/root"))
print(sorted(os.listdir("/proc/self/fd")), [line for line in open("/proc/self/fdinfo/0") if line.startswith("flags")])
`,
  },
  {
    name: 'files at the start',
    main: py`
import os
for root in ("/work", "/tmp", "/dev/shm"):
    for path, directories, files in os.walk(root):
        print(path, sorted(directories), sorted(files), oct(os.stat(path).st_mode))
for name in ("main.py", "a/b/c.txt", "run.sh", "empty", "ünï.txt"):
    status = os.stat(name)
    print(name, oct(status.st_mode), status.st_uid, status.st_gid, status.st_size, status.st_nlink)
`,
    files: { 'a/b/c.txt': 'c', 'run.sh': '#!/bin/sh\n', empty: '', 'ünï.txt': '✓', 'a/.hidden': '' },
    executable: ['run.sh'],
  },
  {
    name: 'warning filters',
    main: py`
import warnings
for entry in warnings.filters:
    print(entry)
print(warnings.onceregistry if hasattr(warnings, "onceregistry") else "", __warningregistry__ if "__warningregistry__" in globals() else "")
`,
  },
  {
    name: 'codecs, copyreg, abstract classes and other registries',
    main: py`
import codecs, copyreg, contextvars, io, sys
print(codecs.lookup("utf-8").name, sorted(copyreg.dispatch_table, key=str), list(contextvars.copy_context()))
print(io.DEFAULT_BUFFER_SIZE, type(sys.stdout.buffer.raw), vars(sys.stdout), vars(sys.stdout.buffer), vars(sys.stdin))
print(sys.stdin.buffer.raw.mode, sys.stdin.buffer.raw.closefd, sys.stdin.mode, sys.stdin.name, sys.stdout.name)
`,
  },
  {
    name: 'modules that the start might have used up',
    main: py`
import _ast, _socket, ast, atexit, marshal, socket, _signal, _thread, builtins, sys
print(isinstance(ast.parse("1"), _ast.Module), _socket.socket is socket.socket.__mro__[1], socket.timeout, socket.error)
left, right = socket.socketpair()
left.settimeout(0.01)
try:
    left.recv(1)
except socket.timeout as error:
    print(type(error), error)
print(marshal.loads(marshal.dumps({"a": [1, 2.5, None]})), atexit.unregister(print), "_ast" in sys.modules)
print(_socket.__spec__.origin == socket._socket.__spec__.origin, sys.modules["_socket"] is _socket)
`,
  },
];
