import { type Program, py, withoutAddresses } from '../program.js';

const show = py`
import os, sys, time, locale
print(sys.flags, sys.path, sys.warnoptions, sys.dont_write_bytecode, sys.pycache_prefix, __debug__)
print([stream.encoding + " " + stream.errors + " " + str(stream.line_buffering) for stream in (sys.stdin, sys.stdout, sys.stderr)])
print(locale.getpreferredencoding(False), sys.getfilesystemencoding(), locale.setlocale(locale.LC_ALL), time.tzname)
print(sorted(os.environ.items()), list(sys.modules)[-12:], hash("a") == hash("a"), ascii(sys.argv))
print("ünï", ascii(sys.stdin.read()))
import helper
assert False, "asserted"
`;

const settings: readonly (readonly string[])[] = [
  ['PYTHONUNBUFFERED=1'],
  ['PYTHONDONTWRITEBYTECODE=1'],
  ['PYTHONPATH='],
  ['PYTHONPATH=/work/lib:/work/other::relative'],
  ['PYTHONSAFEPATH=1'],
  ['PYTHONOPTIMIZE=2'],
  ['PYTHONWARNINGS=error'],
  ['PYTHONWARNINGS=default,ignore::DeprecationWarning'],
  ['PYTHONUTF8=0'],
  ['PYTHONUTF8=1'],
  ['PYTHONIOENCODING=latin-1:backslashreplace'],
  ['PYTHONCOERCECLOCALE=0'],
  ['PYTHONCOERCECLOCALE=warn'],
  ['PYTHONDEVMODE=1'],
  ['PYTHONFAULTHANDLER=1'],
  ['PYTHONTRACEMALLOC=3'],
  ['PYTHONASYNCIODEBUG=1'],
  ['PYTHONMALLOC=debug'],
  ['PYTHONNODEBUGRANGES=1'],
  ['PYTHONINTMAXSTRDIGITS=640'],
  ['PYTHONNOUSERSITE=1'],
  ['PYTHONUSERBASE=/work/base'],
  ['PYTHONPYCACHEPREFIX=/work/cache'],
  ['PYTHONBREAKPOINT=0'],
  ['PYTHONPLATLIBDIR=lib'],
  ['PYTHONCASEOK=1'],
  ['PYTHONWARNDEFAULTENCODING=1'],
  ['PYTHON_COLORS=1'],
  ['LC_ALL=C'],
  ['LC_ALL=POSIX', 'PYTHONUTF8=0'],
  ['LC_ALL=C.UTF-8'],
  ['LC_ALL=de_DE.UTF-8'],
  ['LANG=en_US.ISO-8859-1'],
  ['LC_CTYPE=C'],
  ['LANG='],
  ['TZ=America/New_York'],
  ['TZ=UTC-5:30'],
  ['HOME=/tmp'],
  ['PATH=/usr/local/bin:/usr/bin:/bin'],
  ['MALLOC_ARENA_MAX=1'],
];

/** Variables that Python, or what lies below it, heeds at its start. */
export const variables: readonly Program[] = [
  ...settings.map(
    (env): Program => ({
      name: `with ${env.join(' ')}`,
      main: show,
      env,
      args: ['ü'],
      stdin: 'ünï\n',
      files: {
        'helper.py':
          '"""doc"""\nprint(__doc__, __cached__)\nimport warnings\nwarnings.warn("old", DeprecationWarning)\n',
      },
      normalise: withoutAddresses,
    }),
  ),
  { name: 'with PYTHONHASHSEED=0', main: 'print(hash("a"), hash(b"b"), set("abcdef"))\n', env: ['PYTHONHASHSEED=0'] },
  {
    name: 'with PYTHONINSPECT=1',
    main: 'x = 5\n1/0\n',
    env: ['PYTHONINSPECT=1'],
    stdin: 'x\nimport sys; sys.last_value\nprint(sys.argv)\n',
  },
  {
    name: 'with PYTHONUNBUFFERED=1, and _exit',
    main: 'import os\nprint("kept", end="")\nos._exit(0)\n',
    env: ['PYTHONUNBUFFERED=1'],
  },
  {
    name: 'with a PYTHONPATH that brings a sitecustomize',
    main: 'import sys\nprint("sitecustomize" in sys.modules, sys.modules["sitecustomize"].__file__, __import__("os").environ["PYTHONPATH"])\n',
    env: ['PYTHONPATH=/work/site:/work/more'],
    files: {
      'site/sitecustomize.py':
        'import sys, os\nprint("site", sys.path[:3], sys.argv, os.environ["PYTHONPATH"], __file__)\n',
      'more/usercustomize.py': 'print("user", __file__)\n',
    },
  },
  {
    name: 'with a PYTHONPATH that brings a sitecustomize that fails',
    main: 'print("main")\n1/0\n',
    env: ['PYTHONPATH=/work/site'],
    files: { 'site/sitecustomize.py': 'print("site")\nraise ValueError("from site")\n' },
  },
  {
    name: 'with a PYTHONPATH that brings a sitecustomize that ends everything',
    main: 'print("never")\n',
    env: ['PYTHONPATH=/work/site'],
    files: { 'site/sitecustomize.py': 'print("x" * 200_000)\nimport os, sys\nsys.stdout.flush()\nos._exit(5)\n' },
  },
  {
    name: 'with a PYTHONPATH that hides the standard library',
    main: 'import atexit, _socket, marshal\nprint(_socket, "main")\n1/0\n',
    env: ['PYTHONPATH=/work/lib'],
    files: {
      'lib/_socket.py': 'print("mine")\n',
      'lib/atexit.py': '',
      'lib/_ast.py': '',
      'lib/os.py': 'print("no os")\n',
    },
  },
  {
    name: 'with packages in the user directory',
    main: 'import sys, site, tool\nprint(tool.__file__, sys.path, site.ENABLE_USER_SITE, sys.flags.no_user_site)\ntool.f()\n',
    files: Object.fromEntries(
      ['8', '9', '10', '11', '12', '13', '14'].flatMap((minor) => {
        const directory = `.local/lib/python3.${minor}/site-packages`;
        return [
          [`${directory}/tool.py`, 'def f(): 1/0\n'],
          [`${directory}/usercustomize.py`, 'import sys\nprint("usercustomize", sys.argv, sys.path[0])\n'],
          [`${directory}/x.pth`, 'import sys; print("pth", sys.argv, "x" * 100_000)\n/work/extra\n'],
        ];
      }),
    ),
  },
  {
    name: 'with a PATH to an interpreter that is a script',
    main: 'print("never")\n',
    env: ['PATH=/work/bin:/usr/local/bin:/usr/bin:/bin'],
    files: { 'bin/python3': '#!/bin/sh\necho "script $@"\ncat\nexit 3\n' },
    executable: ['bin/python3'],
    args: ['a b', 'c'],
    stdin: 'input',
  },
  {
    name: 'with a PATH without an interpreter of its own name first',
    main: 'import shutil, sys\nprint(shutil.which("python3") == sys.executable, sys.executable)\n',
    env: ['PATH=/work/nothing:/usr/local/bin:/usr/bin:/bin'],
  },
];
