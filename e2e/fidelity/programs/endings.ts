import { type Program, py, withoutAddresses } from '../program.js';

/** How a program ends: exit codes, signals, and what runs last. */
export const endings: readonly Program[] = [
  ...exits({
    'falling off the end': 'pass',
    'exit(0)': 'import sys; sys.exit(0)',
    'exit(1)': 'import sys; sys.exit(1)',
    'exit(3)': 'import sys; sys.exit(3)',
    'exit(300)': 'import sys; sys.exit(300)',
    'exit(-1)': 'import sys; sys.exit(-1)',
    'exit(None)': 'import sys; sys.exit()',
    'exit(True)': 'import sys; sys.exit(True)',
    'exit("text")': 'import sys; sys.exit("ünï ✓")',
    'exit([1])': 'import sys; sys.exit([1, "a"])',
    'exit(1.5)': 'import sys; sys.exit(1.5)',
    'exit(2**40)': 'import sys; sys.exit(2**40)',
    'exit(object) with a broken repr': 'import sys\nclass A:\n  def __str__(self): 1/0\nsys.exit(A())',
    'SystemExit with several arguments': 'raise SystemExit(1, 2)',
    'SystemExit from another exception':
      'try:\n  1/0\nexcept ZeroDivisionError as error:\n  raise SystemExit(4) from error',
    'a subclass of SystemExit': 'class Bye(SystemExit):\n  code = 9\nraise Bye("ignored")',
    'quit() with text': 'quit("bye")',
    'exit() closes stdin': 'import sys\ntry:\n  exit(2)\nexcept SystemExit:\n  print(sys.stdin.closed)',
    'os._exit(7) with output in the buffer': 'import os; print("lost"); os._exit(7)',
    'os._exit(8) after a flush': 'import os; print("kept", flush=True); print("lost", end=""); os._exit(8)',
    'KeyboardInterrupt raised': 'raise KeyboardInterrupt("why")',
    'KeyboardInterrupt in a function, with an exit handler':
      'import atexit\natexit.register(print, "last")\ndef f():\n  raise KeyboardInterrupt\nf()',
    GeneratorExit: 'raise GeneratorExit',
    BaseException: 'raise BaseException("base")',
    'os.abort()': 'import os; print("lost"); os.abort()',
    'a segmentation fault': 'import ctypes; print("lost"); ctypes.string_at(0)',
    'a segmentation fault with the fault handler':
      'import ctypes, faulthandler\nfaulthandler.enable()\ndef f():\n  ctypes.string_at(0)\nf()',
    'stdout closed by the program': 'import sys; print("out"); sys.stdout.close(); print("more")',
    'descriptor 1 closed': 'import os; os.close(1); print("x")',
    'descriptor 2 closed': 'import os; os.close(2); 1/0',
    'all descriptors closed': 'import os; os.closerange(0, 50); print("x")',
    'sys.stdout deleted': 'import sys; del sys.stdout; print("x")',
    'sys.stderr None': 'import sys; sys.stderr = None; 1/0',
    'exec of another program':
      'import os, sys; sys.stdout.flush(); os.execvp("sh", ["sh", "-c", "echo $0 $A; exit 6"])',
    'exec of itself':
      'import os, sys\nif len(sys.argv) == 1:\n  os.execv(sys.executable, [sys.executable, "main.py", "again"])\nprint(sys.argv, sys.orig_argv if hasattr(sys, "orig_argv") else 0)\n1/0',
    'out of memory': 'x = bytearray(1 << 60)',
  }),
  ...exits({
    'SIGTERM to itself': signalled('SIGTERM'),
    'SIGKILL to itself': signalled('SIGKILL'),
    'SIGINT to itself': 'import os, signal, time\nprint("before")\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)',
    'SIGINT to itself, default handler': `import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n${signalled('SIGINT')}`,
    'SIGHUP to itself': signalled('SIGHUP'),
    'SIGUSR1 to itself': signalled('SIGUSR1'),
    'SIGPIPE to itself': signalled('SIGPIPE'),
    'SIGQUIT to itself': signalled('SIGQUIT'),
    'SIGCHLD to itself': signalled('SIGCHLD'),
    'a real-time signal': 'import os; os.kill(os.getpid(), 40)',
    'SIGTERM to its group': 'import os, signal, time\nos.kill(0, signal.SIGTERM)\ntime.sleep(5)',
    SIGALRM: 'import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(5)',
    'SIGALRM handled':
      'import signal, time\ndef f(number, frame):\n  raise TimeoutError("late")\nsignal.signal(signal.SIGALRM, f)\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(5)',
    'SIGTERM handled, exit(5)':
      'import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nos.kill(os.getpid(), 15)\ntime.sleep(5)',
    'SIGPIPE by default action':
      'import os, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nr, w = os.pipe()\nos.close(r)\nos.write(w, b"x")',
    'broken pipe': 'import os\nr, w = os.pipe()\nos.close(r)\nos.write(w, b"x")',
    'SIGINT ignored':
      'import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nos.kill(os.getpid(), 2)\nprint("alive")',
    'SIGINT while threads run':
      'import os, threading, time\nthreading.Thread(target=lambda: time.sleep(0.1)).start()\nos.kill(os.getpid(), 2)\ntime.sleep(5)',
  }),
  ...exits({
    'exit handlers, last first':
      'import atexit\nfor n in range(3):\n  atexit.register(print, n)\natexit.register(lambda: atexit.register(print, "late"))\nprint("main")',
    'exit handlers after an exception':
      'import atexit, sys\natexit.register(lambda: print(sys.last_type, sys.last_value))\n1/0',
    'an exit handler that fails': 'import atexit\natexit.register(print, "first")\natexit.register(lambda: 1/0)',
    'an exit handler that exits': 'import atexit, sys\natexit.register(print, "first")\natexit.register(sys.exit, 3)',
    'an exit handler after an exception, that exits': 'import atexit, os\natexit.register(os._exit, 3)\n1/0',
    'exit handlers unregistered':
      'import atexit\natexit.register(print, 1)\natexit.unregister(print)\natexit.register(print, 2)',
    finalizers: 'import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, "gone")\nprint("main")',
    'objects of the module at the end':
      'class A:\n  def __init__(self, n): self.n = n\n  def __del__(self): print("del", self.n)\na = A(1)\n_b = A(2)\nc = [A(3)]\nc.append(c)\nprint("main")',
    'an exception in __del__': 'class A:\n  def __del__(self): 1/0\nA()\na = A()',
    'unraisable hook':
      'import sys\nsys.unraisablehook = lambda args: print("hook", args.exc_type, args.err_msg)\nclass A:\n  def __del__(self): 1/0\nA()',
    'exception hook':
      'import sys\nsys.excepthook = lambda *args: print("hook", args[:2], args[2].tb_lineno, args[2].tb_frame.f_back)\n1/0',
    'exception hook that fails': 'import sys\ndef hook(*args):\n  raise KeyError("hook")\nsys.excepthook = hook\n1/0',
    'exception hook deleted': 'import sys\ndel sys.excepthook\n1/0',
    'no traceback': 'import sys\nsys.tracebacklimit = 0\ndef f(): 1/0\nf()',
    'a thread that goes on':
      'import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()\nprint("main")',
    'a daemon thread that is left':
      'import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint("main")',
    'an exception in a thread':
      'import threading\ndef f():\n  1/0\nt = threading.Thread(target=f, name="worker")\nt.start()\nt.join()\nprint("main")',
    'exit in a thread':
      'import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()\nprint("main")',
    'os._exit in a thread':
      'import os, threading\nt = threading.Thread(target=os._exit, args=(4,))\nt.start()\nt.join()\nprint("main")',
    'an exception while a thread goes on':
      'import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()\n1/0',
    'pool of threads at the end':
      'from concurrent.futures import ThreadPoolExecutor\np = ThreadPoolExecutor(2)\np.submit(print, "done")\np.submit(lambda: 1/0)',
    'logging at the end':
      'import atexit, logging\nlogging.basicConfig(level="INFO", format="%(levelname)s %(name)s %(message)s")\natexit.register(logging.info, "bye")\nlogging.warning("hi")',
    'a coroutine that nobody awaited': 'async def f(): pass\nf()',
    'a loop left open':
      'import asyncio\nasync def f():\n  asyncio.ensure_future(asyncio.sleep(9))\nasyncio.run(f())\nprint("main")',
    'a file that is not closed': 'import os\nf = os.fdopen(os.dup(1), "w")\nf.write("late")\nprint("main")',
    'a file in a cycle':
      'import os\nclass A: pass\na = A()\na.a, a.f = a, os.fdopen(os.dup(1), "w")\na.f.write("late")\nprint("main")',
    'an object of a module of its own':
      'import types\nm = types.ModuleType("m")\nexec("class A:\\n  def __del__(self): print(123)\\na = A()", vars(m))',
    'an import at the end':
      'class A:\n  def __del__(self):\n    try:\n      import os, json\n    except ImportError as error:\n      print(error)\na = A()',
    'an import in a cycle at the end':
      'import os\nclass A:\n  def __del__(self):\n    import os, stat\n    print(os.sep, stat.S_IFDIR)\ndef f():\n  a = A()\n  a.a = a\nf()',
    'the system module at the end':
      'class A:\n  def __del__(self):\n    import sys\n    print(sys.path, sys.argv, sys.stdout is sys.__stdout__, sys.modules.get("os"))\na = A()',
    'stdout replaced':
      'import io, sys\nclass Out(io.StringIO):\n  def flush(self): sys.__stdout__.write("flush")\nsys.stdout = Out()\nprint("lost")',
    'modules removed':
      'import sys\nfor name in ("os", "stat", "site"):\n  del sys.modules[name]\nimport os\nprint(os.sep)',
    'main replaced': 'import sys, types\nsys.modules["__main__"] = types.ModuleType("other")\nsys.exit(3)',
    'exit after losing its file name': 'import sys\ndel __file__\nsys.exit(3)',
    'exit with nothing left': 'import sys\nexit = sys.exit\nglobals().clear()\nraise SystemExit(3)',
    'threads counted at exit': 'import _thread, time\n_thread.start_new_thread(time.sleep, (9,))\nprint("main")',
    'traced to the end':
      'import sys\nsys.settrace(lambda frame, event, arg: print(event, frame.f_code.co_name))\nclass A:\n  def __del__(self): pass\na = A()',
    'output by C': 'import ctypes; ctypes.CDLL(None).printf(b"from C\\n")',
    'a weak reference with a callback':
      'import weakref\nclass A: pass\na = A()\nr = weakref.ref(a, lambda _: print("gone"))',
    'a generator that waits': 'def f():\n  try:\n    yield 1\n  finally:\n    print("finally")\ng = f()\nnext(g)',
    'modules at the end':
      'import sys\nclass A:\n  def __del__(self, sys=sys): print(sys.is_finalizing())\nsys.keep = A()',
  }),
];

function exits(sources: Readonly<Record<string, string>>): readonly Program[] {
  return Object.entries(sources).map(([name, source]) => ({
    name: `end: ${name}`,
    main: `${source}\n`,
    env: ['A=1'],
    normalise: (output) => withoutAddresses(output).replace(/Thread-\d+/g, 'Thread-…'),
  }));
}

function signalled(name: string): string {
  return py`
import os, signal, sys
print("kept")
sys.stdout.flush()
print("lost")
os.kill(os.getpid(), signal.NAME)
`.replace('NAME', name);
}
