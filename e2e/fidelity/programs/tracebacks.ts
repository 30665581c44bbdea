import { type Program, py } from '../program.js';

/** What a program that fails, or that asks, prints of its frames. */
export const tracebacks: readonly Program[] = [
  ...sources({
    'in the module': '1/0',
    'in functions': 'def f(x):\n  return g(x) + 1\ndef g(x):\n  return [][x]\nprint("before")\nf(3)',
    'in a lambda and a comprehension': 'f = lambda x: [1 / y for y in x]\nf([1, 0])',
    'in a class body': 'class A:\n  class B:\n    x = undefined',
    'in a decorator': 'def d(f):\n  raise TypeError("no")\n@d\ndef g():\n  pass',
    'chained by from': 'try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise ValueError("bad") from e',
    'chained by context': 'try:\n  1/0\nexcept ZeroDivisionError:\n  {}["k"]',
    'chain cut': 'try:\n  1/0\nexcept ZeroDivisionError:\n  raise ValueError("bad") from None',
    'recursion without end': 'def f(n):\n  return f(n + 1)\nf(0)',
    'mutual recursion': 'def f(): g()\ndef g(): f()\nf()',
    'notes and multi-line messages':
      'e = ValueError("one\\ntwo\\n  three")\ngetattr(e, "add_note", print)("note\\nmore")\nraise e',
    'unicode in the message': 'raise ValueError("ünï ✓ \\ud800 \\x00 \\x1b[31m")',
    'unicode in the source': 'größe = 1\nprint("✓" + größe)',
    'a name almost right': 'value = 1\nprint(valeu)',
    'a builtin almost right': 'pritn(1)',
    'an attribute almost right': 'import collections\ncollections.namedtoplo',
    'a forgotten import': 'json.loads("1")',
    'an exception of its own': 'class Error(Exception):\n  def __str__(self): return "told"\nraise Error(1)',
    'an exception whose text fails': 'class Error(Exception):\n  def __str__(self): 1/0\nraise Error(1)',
    'an exception of a module': 'import json\njson.loads("{")',
    'an exception class': 'raise ValueError',
    'no exception': 'raise 1',
    assertion: 'x = 2\nassert x == 1, f"{x} is not 1"',
    'a line of many columns': 'x = (1 + 2) * (3 / 0) + len("äöü") + 4',
    'a call over lines': 'print(\n  1,\n  2 /\n  0,\n)',
    'a very long line': `x = [${'1, '.repeat(300)}1/0]`,
    'in a generator': 'def g():\n  yield 1\n  raise StopIteration\nlist(g())',
    'in a property and a with':
      'class A:\n  def __enter__(self): pass\n  def __exit__(self, *a): raise KeyError("exit")\nwith A():\n  1/0',
    'in a coroutine':
      'import asyncio\nasync def f():\n  await g()\nasync def g():\n  raise OSError(2, "gone", "x")\nasyncio.run(f())',
    'in code from exec': 'exec("x = 1\\nx / 0")',
    'in code from eval': 'eval("1 / 0")',
    'in code compiled under another name': 'exec(compile("\\n\\n1/0", "other.py", "exec"))',
    'in code compiled under the own name': 'exec(compile("1/0\\n", __file__, "exec"))',
    'UnicodeEncodeError on printing': 'print("\\ud800")',
    UnicodeDecodeError: 'b"\\xff".decode()',
    'an exception group':
      'import builtins\nif hasattr(builtins, "ExceptionGroup"):\n  def f(): raise ExceptionGroup("all", [ValueError(1), ExceptionGroup("in", [KeyError("k")])])\n  f()',
    'printed, not raised':
      'import traceback\ndef f():\n  try:\n    1/0\n  except Exception:\n    traceback.print_exc()\n    traceback.print_stack()\nf()',
    logged: 'import logging\ntry:\n  1/0\nexcept Exception:\n  logging.exception("failed")',
    'walked by the exception hook':
      'import sys\ndef hook(kind, error, tb):\n  while tb:\n    print(tb.tb_frame.f_code.co_filename, tb.tb_lineno, tb.tb_frame.f_code.co_name)\n    tb = tb.tb_next\nsys.excepthook = hook\ndef f(): 1/0\nf()',
  }),
  ...sources({
    'SyntaxError in main': 'print("never")\ndef f(:\n  pass',
    'SyntaxError of an open bracket': 'x = (1,\ny = 2\n',
    'SyntaxError of an open string': 'x = """abc\n',
    'SyntaxError of return': 'print("never")\nreturn 1',
    'SyntaxError of await': 'await x',
    'SyntaxError of two stars': 'f(*, **)',
    'SyntaxError of a late future import': 'x = 1\nfrom __future__ import annotations',
    'SyntaxError of Python 2': 'print "hello"',
    'IndentationError, unexpected': 'x = 1\n  y = 2',
    'IndentationError, missing': 'if True:\nx = 1',
    TabError: 'if True:\n        x = 1\n\ty = 2',
    'a null byte': 'print(1)\nx = "a\0b"',
    'an unknown encoding': '# -*- coding: nothing -*-\nprint(1)',
    'a line continued at the end': 'x = 1 + \\',
    'nothing at all': '',
    'a comment without a line end': '# only',
    'a form feed and Windows line ends': 'x = 1\r\n\fif x:\r\n  print("ü")\r\n1/0\r\n',
    'a byte order mark': '\ufeffprint("bom", __file__)',
    'warned of while compiling': 'x = 1\nif x is 1:\n  print("\\d")\nassert (x, "always")\n',
    'warnings with levels':
      'import warnings\ndef f():\n  for level in (1, 2, 3, 4):\n    warnings.warn(f"level {level}", stacklevel=level)\ndef g():\n  f()\ng()\nwarnings.warn("old", DeprecationWarning)\nwarnings.warn("later", PendingDeprecationWarning)\nprint(sorted(__warningregistry__, key=str))',
    'a warning as an error': 'import warnings\nwarnings.simplefilter("error")\nwarnings.warn("now")',
    'a file left open': 'import warnings\nwarnings.simplefilter("always")\nopen(__file__)\nprint(1)',
  }),
  {
    name: 'invalid UTF-8 in the source',
    files: { 'main.py': new Uint8Array([...Buffer.from('print("never")\nx = "'), 0xff, 0x22, 0x0a]) },
  },
  {
    name: 'source in Latin-1',
    files: {
      'main.py': new Uint8Array([
        ...Buffer.from('# coding: latin-1\nprint("'),
        0xfc,
        ...Buffer.from('")\n1/0 # '),
        0xe4,
        0x0a,
      ]),
    },
  },
  ...[
    ['raised in a module of its own', 'def f():\n\n  1/0\n'],
    ['SyntaxError in a module of its own', 'x = 1\ndef f(:\n'],
    ['IndentationError in a module of its own', 'def f():\nx'],
    ['a null byte in a module of its own', 'x = "\0"'],
    ['ImportError of a name', 'from os import nothing'],
    ['ModuleNotFoundError', 'import nothing.at.all'],
    ['a circular import', 'from main2 import x\n'],
    ['a module that exits', 'import sys; sys.exit("from helper")'],
    [
      'a warning from a module',
      'import warnings\nwarnings.warn("w")\nwarnings.warn("d", DeprecationWarning)\ndef f(): warnings.warn("f", stacklevel=2)\n',
    ],
  ].map(([name, helper]): Program => {
    const main = 'print("before")\nimport helper\nhelper.f()\n';
    return {
      name: `traceback: ${name}`,
      main,
      files: { 'helper.py': helper ?? '', 'main2.py': 'import helper\nx = 1\n' },
    };
  }),
  {
    name: 'debugger on stdin',
    main: py`
def f():
    x = 1
    breakpoint()
    return x
f()
`,
    stdin: 'w\nbt\np x\nu\nu\nu\nl\nc\n',
  },
  {
    name: 'console on stdin',
    main: py`
import code
code.interact(banner="hello", exitmsg="bye", local={"x": 5})
`,
    stdin: 'x + 1\n_\n1/0\nimport traceback; traceback.print_stack()\n',
  },
  {
    name: 'tracing and profiling',
    main: py`
import sys
events = []
def trace(frame, event, argument):
    events.append((event, frame.f_code.co_name, frame.f_lineno))
    return trace
def f():
    return 1
sys.settrace(trace)
f()
sys.settrace(None)
print(events)
import cProfile, pstats, io
profile = cProfile.Profile()
profile.runcall(f)
print(sorted(name for _, _, name in pstats.Stats(profile, stream=io.StringIO()).stats))
`,
  },
  {
    name: 'tracing what comes after main',
    main: py`
import sys, threading
sys.settrace(lambda frame, event, argument: print(event, frame.f_code.co_filename, frame.f_code.co_name))
def f():
    1/0
f()
`,
  },
  {
    name: 'tests by unittest',
    main: py`
import unittest
class T(unittest.TestCase):
    def test_good(self):
        self.assertEqual(1, 1)
    def test_bad(self):
        self.assertEqual([1, 2], [1, 3])
    def test_error(self):
        1/0
unittest.main()
`,
    normalise: (output) => output.replace(/in [\d.]+s/, 'in …s'),
  },
  {
    name: 'tests by doctest',
    main: py`
"""
>>> 1 + 1
3
>>> import sys; sys.argv
['main.py']
"""
import doctest
print(doctest.testmod())
`,
  },
];

function sources(table: Readonly<Record<string, string>>): readonly Program[] {
  return Object.entries(table).map(([name, main]) => ({ name: `traceback: ${name}`, main }));
}
