import { PythonExecutorClient } from '@python-executor/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Service, startService } from '../support/service.js';

vi.setConfig({ maxConcurrency: 8 });

let service: Service;

beforeAll(async () => {
  service = await startService({ env: { PYEXEC_POOL_SIZE: '8', PYEXEC_POOL_REFILL: '4' } });
});
afterAll(() => service?.stop());

type Expected = readonly [type: string, line: number | undefined] | undefined;

async function expectError(source: string, expected: Expected, files: Readonly<Record<string, string>> = {}) {
  const client = new PythonExecutorClient({ baseUrl: service.url });
  const result = await client.executeSync({ files: { 'main.py': source, ...files } });
  expect(result.status).toBe('completed');
  const [type, line] = expected ?? [];
  expect({ type: result.error_type, line: result.error_line, stderr: result.stderr }).toEqual({
    type,
    line,
    stderr: result.stderr,
  });
}

describe.concurrent('an exception that ends the program', () => {
  const cases: Readonly<Record<string, readonly [source: string, type: string, line: number | undefined]>> = {
    'in the module': ['x = 1\n1/0\n', 'ZeroDivisionError', 2],
    'in a function': ['def f():\n  raise ValueError("x")\n\nf()\n', 'ValueError', 2],
    'in the library, called by the program': ['import json\n\njson.loads("{")\n', 'JSONDecodeError', 3],
    'in the library, called back': ['list(map(\n  lambda n: 1/n,\n  [0]))\n', 'ZeroDivisionError', 2],
    'of a class of its own': ['class Oops(Exception): pass\nraise Oops("a\\nb")\n', 'Oops', 2],
    'of a class within a class': ['class A:\n  class B(Exception): pass\nraise A.B\n', 'B', 3],
    'with another as its cause': ['try:\n  1/0\nexcept Exception as e:\n  raise KeyError("k") from e\n', 'KeyError', 4],
    'in a call over lines': ['print(\n  1,\n  1 /\n  0)\n', 'ZeroDivisionError', 3],
    'that is a KeyboardInterrupt': ['\nraise KeyboardInterrupt\n', 'KeyboardInterrupt', 2],
    'that is a group': ['raise ExceptionGroup("g", [ValueError(1)])\n', 'ExceptionGroup', 1],
    'without end of recursion': ['def f():\n  f()\nf()\n', 'RecursionError', 2],
    'for want of memory': ['\nbytearray(1 << 60)\n', 'MemoryError', 2],
    'in main.py, of its syntax': ['x = 1\ny = (\n', 'SyntaxError', 2],
    'in main.py, of its indentation': ['x = 1\n  y = 2\n', 'IndentationError', 2],
    'of the syntax of other code': ['x = 1\ncompile("x y z", "<text>", "exec")\n', 'SyntaxError', 2],
    'of the syntax of nobody': ['raise SyntaxError("made up")\n', 'SyntaxError', 1],
    'of a syntax at an odd place': ['raise SyntaxError("x", (b"f", "one", 2, "text"))\n', 'SyntaxError', 1],
    'of a module that is not there': ['import os\nimport nothing.there\n', 'ModuleNotFoundError', 2],
    'after the program wrote a traceback of another': [
      'import traceback\ntry:\n  1/0\nexcept Exception:\n  traceback.print_exc()\nraise KeyError(1)\n',
      'KeyError',
      6,
    ],
    'with a text like a traceback': [
      'raise ValueError("\\n  File \\"/work/main.py\\", line 99\\nTypeError: no")\n',
      'ValueError',
      1,
    ],
    'shown by a hook of its own': ['import sys\nsys.excepthook = lambda *a: None\n1/0\n', 'ZeroDivisionError', 3],
    'shown by a hook that fails': [
      'import sys\ndef hook(*a): raise KeyError\nsys.excepthook = hook\n1/0\n',
      'ZeroDivisionError',
      4,
    ],
    'in code from exec': ['x = 1\nexec("\\n\\n\\n1/0")\n', 'ZeroDivisionError', 2],
    'with stderr closed': ['import os, sys\nos.close(2)\nsys.stderr = None\n1/0\n', 'ZeroDivisionError', 4],
    'with other threads still running': [
      'import threading, time\nthreading.Thread(target=time.sleep, args=(0.1,)).start()\n1/0\n',
      'ZeroDivisionError',
      3,
    ],
    'with a name that lies': [
      'class M(type):\n  __name__ = property(lambda c: 1/0)\nclass E(Exception, metaclass=M): pass\nraise E\n',
      '',
      undefined,
    ],
    'traced to its end': [
      'import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\n1/0\n',
      'ZeroDivisionError',
      4,
    ],
    'with exit handlers of its own': [
      'import atexit\natexit.register(print, 1)\nimport logging, weakref\n1/0\n',
      'ZeroDivisionError',
      4,
    ],
    'with sockets forbidden': [
      'import sys, socket, _socket\n_socket.socket = socket.socket = None\nsys.modules["_socket"] = None\n1/0\n',
      'ZeroDivisionError',
      4,
    ],
    'with nothing left in sys': [
      'import sys\nsys.path.clear()\nsys.modules.clear()\nsys.meta_path.clear()\n1/0\n',
      'ZeroDivisionError',
      5,
    ],
    'in another directory, without descriptors': [
      'import os, resource\nos.chdir("/")\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n1/0\n',
      'ZeroDivisionError',
      4,
    ],
  };
  test.each(Object.entries(cases))('%s', async (_, [source, type, line]) => {
    await expectError(source, type === '' ? undefined : [type, line]);
  });

  test('is known by the line in the file of the program where it came from', async () => {
    const files = { 'lib/helper.py': 'def f():\n\n  1/0\n', 'lib/bad.py': 'x = 1\n  y = 2\n' };
    await expectError('from lib import helper\nhelper.f()\n', ['ZeroDivisionError', 3], files);
    await expectError('\n\nfrom lib import bad\n', ['IndentationError', 2], files);
    await expectError(
      'import sys\nsys.path.insert(0, "/work/lib")\nimport helper\nhelper.f()\n',
      ['ZeroDivisionError', 3],
      files,
    );
  });

  test('is known for a program of another name, and for one with variables', async () => {
    const client = new PythonExecutorClient({ baseUrl: service.url });
    const files = { 'src/app.py': 'def f():\n  1/0\nf()\n' };
    const metadata = { env_vars: ['PYTHONUNBUFFERED=1', 'PYTHONPATH=/work/lib'] };
    expect(await client.executeSync({ files, metadata })).toMatchObject({
      error_type: 'ZeroDivisionError',
      error_line: 2,
    });
    const setUp = { pre_commands: ['echo ready'] };
    expect(await client.executeSync({ files, metadata: setUp })).toMatchObject({
      error_type: 'ZeroDivisionError',
      error_line: 2,
    });
  });
});

describe.concurrent('there is no exception to tell of', () => {
  const cases: Readonly<Record<string, string>> = {
    'in a program that ends well': 'print(1)\n',
    'in sys.exit(1)': 'import sys\nsys.exit(1)\n',
    'in sys.exit with a text': 'import sys\nsys.exit("ValueError: no")\n',
    'in SystemExit from another': 'try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise SystemExit(1) from e\n',
    'in one that was caught':
      'import sys, traceback\ntry:\n  1/0\nexcept Exception:\n  traceback.print_exc()\nsys.exit(1)\n',
    'in one of a thread': 'import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start()\nt.join()\n',
    'in one of a child': 'import os, sys\nif os.fork() == 0:\n  1/0\nos.wait()\nsys.exit(1)\n',
    'in one of an exit handler': 'import atexit\natexit.register(lambda: 1/0)\n',
    'in one of __del__': 'class A:\n  def __del__(self): 1/0\nA()\n',
    'in one that only printed like one':
      'import sys\nsys.stderr.write("Traceback (most recent call last):\\n  File \\"/work/main.py\\", line 1\\nValueError: x\\n")\nsys.exit(1)\n',
    'in os._exit after one': 'import atexit, os\natexit.register(os._exit, 3)\n1/0\n',
    'in a signal': 'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n',
  };
  test.each(Object.entries(cases))('%s', (_, source) => expectError(source, undefined));
});
