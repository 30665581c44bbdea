import { type ExecutionResult, PythonExecutorClient, type SimpleExecRequest } from '@python-executor/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Service, startService } from '../support/service.js';
import { py } from './program.js';

vi.setConfig({ maxConcurrency: 8 });

let service: Service;

beforeAll(async () => {
  service = await startService({ env: { PYEXEC_POOL_SIZE: '8', PYEXEC_POOL_REFILL: '4' } });
});
afterAll(() => service?.stop());

/** Runs code with `eval_last_expr`. */
function evaluate(request: string | Omit<SimpleExecRequest, 'eval_last_expr'>): Promise<ExecutionResult> {
  const client = new PythonExecutorClient({ baseUrl: service.url });
  return client.eval({ ...(typeof request === 'string' ? { code: request } : request), eval_last_expr: true });
}

describe.concurrent('the value of a last expression', () => {
  const values: readonly (readonly [title: string, code: string, result: string | null])[] = [
    ['of numbers', '2 + 2', '4'],
    ['of a string, quoted', '"it\'s"', `"it's"`],
    ['of a name', 'x = [1, {"a": None}]\nx', "[1, {'a': None}]"],
    ['with a semicolon before it', 'x = 1; x + 1', '2'],
    ['with a semicolon after it', 'x = 1\nx;', '1'],
    ['with a comment after it', '5  # five\n# end\n\n', '5'],
    ['without a line end', 'x = 3\nx', '3'],
    ['over several lines', 'x = 2\n(\n  x +\n  x\n)\n', '4'],
    ['of a call over lines', 'sum(\n  [\n    1,\n    2,\n  ]\n)', '3'],
    ['of a lambda', '(lambda a, b=2: a + b)(1)', '3'],
    ['of a generator', 'sum(n for n in range(4))', '6'],
    ['of a comprehension', '[n for n in "ab" if (m := n)]', "['a', 'b']"],
    ['of an assignment expression', '(y := 7)', '7'],
    ['of a conditional', '1 if False else 2', '2'],
    ['of an f-string', 'x = 5\nf"{x!r:>3}{{}}"', "'  5{}'"],
    ['of a tuple with a star', '*[1, 2], 3', '(1, 2, 3)'],
    ['of False, 0 and the empty string', '(False, 0, "")', "(False, 0, '')"],
    ['of an ellipsis', '...', 'Ellipsis'],
    ['of NotImplemented', 'NotImplemented', 'NotImplemented'],
    ['of a class of its own', 'class A:\n  def __repr__(self): return "an A"\nA()', 'an A'],
    ['whose repr() is "None"', 'class A:\n  def __repr__(self): return "None"\nA()', 'None'],
    ['whose repr() is empty', 'class A:\n  def __repr__(self): return ""\nA()', ''],
    [
      'that is never equal to anything',
      'class A:\n  def __eq__(self, other): 1/0\n  __repr__ = lambda self: "A"\nA()',
      'A',
    ],
    ['with a docstring first', '"""Doc."""\nx = __doc__\nx', "'Doc.'"],
    ['that is a docstring alone', '"""Doc."""', "'Doc.'"],
    ['that is a docstring twice', '"""Doc."""\n__doc__', "'Doc.'"],
    [
      'with future imports first',
      'from __future__ import annotations, division\nfrom __future__ import generators\ndef f(x: nothing): pass\nf.__annotations__',
      "{'x': 'nothing'}",
    ],
    ['with a docstring and a future import', '# c\n"""Doc."""\nfrom __future__ import annotations\n__doc__', "'Doc.'"],
    ['with accents', '"ünï ✓ 🎉"', "'ünï ✓ 🎉'"],
    ['with lone surrogates', '"\\ud800a"', "'\\ud800a'"],
    ['whose repr() has lone surrogates', 'class A:\n  def __repr__(self): return "\\ud800a"\nA()', '\\ud800a'],
    [
      'with NUL and control characters in its repr()',
      'class A:\n  def __repr__(self): return "a\\0b\\n\\x1b"\nA()',
      'a\0b\n\x1b',
    ],
    ['in another encoding', '# coding: latin-1\n"a"', "'a'"],
    ['with Windows line ends', 'x = 1\r\nx + 1\r\n', '2'],
    ['with a byte order mark', '\ufeff1 + 1', '2'],
    ['of a coroutine run', 'import asyncio\nasync def f(): return 5\nasyncio.run(f())', '5'],
    ['of a patched builtin', 'import builtins\nbuiltins.repr = lambda x: "forged"\nrepr = None\n[1]', '[1]'],
    ['of _', '_ = 5\n_', '5'],
    ['None', 'None', null],
    ['None of a call', 'print("x")', null],
    ['of an assignment', 'x = 5', null],
    ['of an import', 'import os', null],
    ['of a loop', 'for n in range(3):\n  n', null],
    ['of an if', 'if True:\n  5', null],
    ['of a function', 'def f():\n  return 5', null],
    ['of pass', 'pass', null],
    ['of del', 'x = 5\ndel x', null],
    ['of a comment', '# 5', null],
    ['of an expression that is not last', '5\nx = 6', null],
  ];
  test.each(values)('%s', async (_, code, result) => {
    expect(await evaluate(code)).toMatchObject({ status: 'completed', exit_code: 0, stderr: '', result });
  });

  test('is null unless it was asked for', async () => {
    const client = new PythonExecutorClient({ baseUrl: service.url });
    const result = await client.eval({ code: 'print("out")\n2 + 2' });
    expect(result).toMatchObject({ exit_code: 0, stdout: 'out\n' });
    expect(result.result ?? null).toBeNull();
  });

  test('is not printed, and what is printed is no result', async () => {
    const result = await evaluate('print("__RESULT__=5", end="")\nprint("\\0V\\0\\0\\0\\x016")\nNone');
    expect(result).toMatchObject({ stdout: '__RESULT__=5\0V\0\0\0\x016\n', result: null });
    expect(await evaluate('print("before")\n1')).toMatchObject({ stdout: 'before\n', result: '1' });
  });

  test('is cut when its repr() is huge', async () => {
    const { result, exit_code } = await evaluate('"é" * 5_000_000');
    expect(exit_code).toBe(0);
    expect(result).toMatch(/^'é+$/);
    expect(Buffer.byteLength(result ?? '')).toBeGreaterThan(900_000);
  });

  test('is known when threads and exit handlers go on', async () => {
    const code =
      'import atexit, threading, time\natexit.register(print, "end")\nthreading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()\n5';
    expect(await evaluate(code)).toMatchObject({ result: '5', stdout: 'thread\nend\n', exit_code: 0 });
  });

  test('stands beside the exit code', async () => {
    const code = 'import atexit, os\natexit.register(os._exit, 3)\n5';
    expect(await evaluate(code)).toMatchObject({ result: '5', exit_code: 3 });
  });

  test('of a child process is not the result', async () => {
    const code = 'import os\nif os.fork() == 0:\n  x = "child"\nelse:\n  os.wait()\n  x = "parent"\nx';
    expect(await evaluate(code)).toMatchObject({ result: "'parent'", exit_code: 0 });
  });

  test('may come from the entrypoint among several files', async () => {
    const files = [
      { name: 'helper.py', content: 'x = 20\nx' },
      { name: 'main.py', content: 'import helper\nhelper.x + 1' },
    ];
    expect(await evaluate({ files })).toMatchObject({ result: '21' });
    expect(await evaluate({ files, entrypoint: 'helper.py' })).toMatchObject({ result: '20' });
    const nested = [{ name: 'src/app.py', content: '__file__, __import__("sys").path[0]' }];
    expect(await evaluate({ files: nested })).toMatchObject({ result: "('/work/src/app.py', '/work/src')" });
  });

  test('may depend on stdin', async () => {
    expect(await evaluate({ code: 'input() * 2', stdin: 'ab' })).toMatchObject({ result: "'abab'" });
  });
});

describe.concurrent('a program whose last expression is wanted', () => {
  test('sees itself as it was sent', async () => {
    const code = py`
import inspect, os, sys
def f():
    return 1  # comment
print(SOURCE.startswith("with open"), os.listdir("."), inspect.getsource(f))
print(type(__loader__).__name__, __loader__.get_source("__main__") == SOURCE, __file__, __cached__)
print(os.stat(__file__).st_nlink, oct(os.stat(__file__).st_mode), sys.argv, sys.path[0], __spec__)
print([name for name in vars() if name not in ("inspect", "os", "sys", "f", "file", "SOURCE")])
1
`;
    const { stdout, stderr, result } = await evaluate(
      `with open(__file__) as file:\n    SOURCE = file.read()\n${code}`,
    );
    expect({ stderr, result }).toEqual({ stderr: '', result: '1' });
    expect(stdout).toBe(py`
True ['main.py'] def f():
    return 1  # comment

SourceFileLoader True /work/main.py None
1 0o100644 ['main.py'] /work None
['__name__', '__doc__', '__package__', '__loader__', '__spec__', '__annotations__', '__builtins__', '__file__', '__cached__']
`);
  });

  test('is imported by its children as it was sent', async () => {
    const code = py`
import multiprocessing
def square(n):
    return n * n
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        x = pool.map(square, [2, 3])
else:
    x = None
x
`;
    expect(await evaluate(code)).toMatchObject({ result: '[4, 9]', stderr: '' });
  });

  test('has no frame of ours in its tracebacks', async () => {
    const code = 'def f():\n  return 1 / 0\nprint(1)\nf() + \\\n  2\n';
    expect(await evaluate(code)).toMatchObject({
      exit_code: 1,
      stdout: '1\n',
      stderr: py`
Traceback (most recent call last):
  File "/work/main.py", line 4, in <module>
    f() + \
    ^^^
  File "/work/main.py", line 2, in f
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero
`,
      error_type: 'ZeroDivisionError',
      error_line: 2,
      result: null,
    });
  });

  test('fails with its own frames when repr() fails', async () => {
    const code = 'class A:\n  def __repr__(self):\n    return undefined\nA()\n';
    expect(await evaluate(code)).toMatchObject({
      exit_code: 1,
      stderr: py`
Traceback (most recent call last):
  File "/work/main.py", line 4, in <module>
    A()
  File "/work/main.py", line 3, in __repr__
    return undefined
           ^^^^^^^^^
NameError: name 'undefined' is not defined
`,
      error_type: 'NameError',
      error_line: 3,
      result: null,
    });
    expect(await evaluate('class A:\n  __repr__ = lambda self: 5\nA()')).toMatchObject({
      error_type: 'TypeError',
      error_line: 3,
      result: null,
    });
  });

  test('may exit in its last expression', async () => {
    expect(await evaluate('import sys\nsys.exit(4)')).toMatchObject({ exit_code: 4, result: null });
    expect(await evaluate('raise KeyboardInterrupt')).toMatchObject({ exit_code: 130, result: null });
    expect(await evaluate('import os, signal\nos.kill(os.getpid(), 2)')).toMatchObject({
      exit_code: 130,
      result: null,
    });
  });

  test('is warned once of what compiling finds', async () => {
    const { stderr, result } = await evaluate('x = 1\nx is 1');
    expect(stderr.match(/SyntaxWarning/g)).toHaveLength(1);
    expect(result).toBe('True');
    const other = await evaluate('x = 1\nif x is 1:\n  pass');
    expect(other.stderr).toBe(stderr.replace('main.py:2', 'main.py:2').replace('  x is 1', '  if x is 1:'));
  });

  const faults: readonly (readonly [code: string, line: number, message: string])[] = [
    ['x = 1\ndef f(:\n5', 2, 'invalid syntax'],
    ['x = 1\nawait x', 2, "'await' outside function"],
    ['x = 1\nyield x', 2, "'yield' outside function"],
    ['return 5', 1, "'return' outside function"],
    ['*a', 1, "can't use starred expression here"],
    [
      'x = 1\nfrom __future__ import annotations\nx',
      2,
      'from __future__ imports must occur at the beginning of the file',
    ],
    ['x = "a', 1, 'unterminated string literal (detected at line 1)'],
  ];
  test.each(faults)('gets the SyntaxError of plain Python: %j', async (code, line, message) => {
    const result = await evaluate(code);
    expect(result).toMatchObject({
      exit_code: 1,
      error_type: 'SyntaxError',
      error_line: line,
      result: null,
      stdout: '',
    });
    expect(result.stderr).toMatch(/^ {2}File "\/work\/main.py", line \d+\n/);
    expect(result.stderr).toContain(`SyntaxError: ${message}`);
    expect(result.stderr).not.toContain('sitecustomize');
  });

  test('may have nothing in it', async () => {
    expect(await evaluate('\n')).toMatchObject({ exit_code: 0, result: null, stderr: '' });
    expect(await evaluate('x = "\0"')).toMatchObject({ exit_code: 1, error_type: expect.stringMatching(/Error$/) });
  });
});
