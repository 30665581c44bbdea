import { type Program, py, withoutAddresses } from '../program.js';

const stdlibNames = [
  ...['json', 'tarfile', 'random', 'code', 'types', 'enum', 'threading', 'logging', 'traceback', 'linecache', 'socket'],
  ...[
    'atexit',
    'marshal',
    '_socket',
    '_ast',
    'ast',
    'site',
    'sitecustomize',
    'usercustomize',
    'os',
    'io',
    'sys',
    'abc',
  ],
  ...['codecs', 'posix', 'select', 'signal', '_signal', 'struct', 'subprocess', 'warnings', 'runpy', 'token', 'agent'],
  ...['encodings', 'importlib', 'builtins', 'stat', 'posixpath', 'zipimport', 'time', 'contextlib', 'keyword', 'heapq'],
];

/** Modules: the user's own and those that they hide. */
export const imports: readonly Program[] = [
  {
    name: 'modules named like those of the standard library',
    main: py`
import importlib, sys
loaded = set(sys.modules)
for name in NAMES:
    module = importlib.import_module(name)
    print(name, name in loaded, getattr(module, "MINE", None), getattr(module, "__file__", None))
`.replace('NAMES', JSON.stringify(stdlibNames)),
    files: Object.fromEntries(stdlibNames.map((name) => [`${name}.py`, 'MINE = __name__\n'])),
  },
  ...[
    'traceback',
    'linecache',
    'tokenize',
    'socket',
    '_socket',
    'atexit',
    'threading',
    'io',
    'warnings',
    'marshal',
  ].map(
    (name): Program => ({
      name: `an exception beside a ${name}.py that fails`,
      main: 'def f():\n  1/0\nf()\n',
      files: { [`${name}.py`]: 'print("loaded", __name__)\nraise RuntimeError("not me")\n' },
    }),
  ),
  {
    name: 'a module that hides one that its own library needs',
    main: 'import random\nprint(random.choice([1]))\n',
    files: { 'random.py': 'import random\nprint("mine")\nchoice = random.choices\n' },
  },
  {
    name: 'packages',
    main: py`
import package, package.inner.deep as deep
from package import *
from package.inner import deep as again
import namespace.part
print(package.__path__, package.__package__, deep.__name__, deep is again, deep.up(), value)
print(type(namespace.__path__).__name__, namespace.part.x, namespace.__file__ if hasattr(namespace, "__file__") else None)
print(package.__spec__.origin, package.__cached__, package.__loader__.__class__)
`,
    files: {
      'package/__init__.py': 'print("init", __name__, __file__)\n__all__ = ["value"]\nvalue = 5\n',
      'package/inner/__init__.py': '',
      'package/inner/deep.py': 'from .. import value\nfrom ..sibling import name\ndef up(): return value, name\n',
      'package/sibling.py': 'name = __name__\n',
      'namespace/part.py': 'x = 1\n',
    },
  },
  { name: 'a relative import in main', main: 'from . import helper\n', files: { 'helper.py': '' } },
  {
    name: 'a relative import that leads nowhere',
    main: 'import p.a\n',
    files: { 'p/__init__.py': '', 'p/a.py': 'from ... import x\n' },
  },
  {
    name: 'compiled files of modules',
    main: py`
import os, helper, package.module
for path, directories, files in sorted(os.walk(".")):
    print(path, sorted(directories), sorted(files))
print(helper.__cached__, os.path.exists(helper.__cached__), __file__)
`,
    files: { 'helper.py': 'x = 1\n', 'package/module.py': '' },
  },
  {
    name: 'reloading',
    main: py`
import importlib, helper, os, sys
print(helper.x)
with open("helper.py", "w") as file:
    file.write("x = 22222\n")
importlib.reload(helper)
print(helper.x)
try:
    importlib.reload(sys.modules["__main__"])
except Exception as error:
    print(type(error), error)
`,
    files: { 'helper.py': 'x = 1\n' },
  },
  {
    name: 'a module written while the program runs',
    main: py`
with open("late.py", "w") as file:
    file.write("x = 1\n")
import late
print(late.x, late.__file__)
`,
  },
  {
    name: 'main imported under its own name',
    main: py`
import sys
print(__name__)
if __name__ == "__main__":
    import main
    print(main.__file__, main is sys.modules["__main__"], main.__spec__.name)
`,
  },
  {
    name: 'reading its own source',
    main: py`
# ünï
import inspect, os, linecache
def f():
    return 1  # comment
class A:
    """doc"""
print(open(__file__, encoding="utf-8").read() == open("main.py", encoding="utf-8").read(), os.path.abspath(__file__))
print(inspect.getsource(f), inspect.getsource(A), inspect.getfile(f), inspect.getmodule(f), inspect.getsourcelines(f)[1])
print(linecache.getline(__file__, 2), os.listdir("."))
`,
    normalise: withoutAddresses,
  },
  {
    name: 'pickling classes and functions of main',
    main: py`
import copy, dataclasses, enum, pickle, typing
@dataclasses.dataclass
class Point:
    x: int
    y: "typing.List[int]" = dataclasses.field(default_factory=list)
class Color(enum.Enum):
    RED = 1
def f(): pass
for value in (Point(1, [2]), Color.RED, f, Point):
    data = pickle.dumps(value)
    print(b"__main__" in data, pickle.loads(data) == value, copy.deepcopy(value) == value)
print(Point(1), Color.RED, typing.get_type_hints(Point), f.__module__, Point.__qualname__)
`,
  },
  {
    name: 'modules run by name and by path',
    main: py`
import runpy, subprocess, sys
print(sorted(runpy.run_path("tool.py", run_name="ran"))[-2:], runpy.run_module("package")["__name__"])
for command in (["-m", "package", "a"], ["tool.py"], ["-c", "import sys; print(sys.path[0] == '', sys.argv)"], ["package"]):
    print(subprocess.run([sys.executable] + command, capture_output=True, text=True))
`,
    files: {
      'tool.py': 'import sys\nprint(__name__, __file__, sys.argv, __package__)\n',
      'package/__main__.py': 'import sys\nprint("main of", __package__, sys.argv, __spec__ and __spec__.name)\n',
    },
  },
  {
    name: 'modules in a zip file',
    main: py`
import os, subprocess, sys, zipfile
with zipfile.ZipFile("lib.zip", "w") as file:
    file.writestr("zipped.py", "def f():\n  1/0\n")
    file.writestr("__main__.py", "import sys, zipped; print(sys.argv, __file__, sys.path[0])\nzipped.f()\n")
print(subprocess.run([sys.executable, "lib.zip", "a"], capture_output=True, text=True))
sys.path.insert(0, "lib.zip")
import zipped
print(zipped.__file__, type(zipped.__loader__))
zipped.f()
`,
  },
  {
    name: 'data of packages and metadata',
    main: py`
import importlib.metadata, importlib.resources, pkgutil, sys
print(pkgutil.get_data("package", "data.txt"), [module.name for module in pkgutil.iter_modules(["."])])
try:
    importlib.metadata.version("nothing")
except Exception as error:
    print(type(error), error)
try:
    pkgutil.get_data("__main__", "data.txt")
except Exception as error:
    print(type(error), error)
`,
    files: { 'package/__init__.py': '', 'package/data.txt': 'data' },
  },
  {
    name: 'import hooks',
    main: py`
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        print("find", name)
sys.meta_path.insert(0, Finder())
import helper
def f():
    1/0
f()
`,
    files: { 'helper.py': '' },
  },
  {
    name: 'a patched import',
    main: py`
import builtins
original = builtins.__import__
def traced(name, *args, **kwargs):
    print("import", name)
    return original(name, *args, **kwargs)
builtins.__import__ = traced
import helper
1/0
`,
    files: { 'helper.py': '' },
  },
  {
    name: 'an audit hook',
    main: py`
import sys
def hook(event, args):
    if event.startswith(("import", "socket", "sys.excepthook", "os.", "cpython")):
        print(event, [str(a) for a in args[:2]] if event != "import" else args[0])
sys.addaudithook(hook)
import helper
def f():
    print(1)
f()
`,
    files: { 'helper.py': '' },
    normalise: (output) => withoutAddresses(output).replace(/pyc\.\d+/g, 'pyc…'),
  },
];
