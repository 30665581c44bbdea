import { describe, expect, test } from 'vitest';
import { run, runEval } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile();

/** Modules that the agent, its waiting interpreter or Python's own start-up could come upon. */
const names = [
  'json',
  'tarfile',
  'sitecustomize',
  'usercustomize',
  'site',
  'os',
  'io',
  're',
  'struct',
  'select',
  'signal',
  'socket',
  '_socket',
  '_signal',
  '_ctypes',
  '_ast',
  'marshal',
  'atexit',
  'builtins',
  'encodings',
  'codecs',
  'abc',
  'stat',
  'traceback',
  'linecache',
  'tokenize',
  'ast',
  'threading',
  'multiprocessing',
  'subprocess',
  'ctypes',
  'agent',
  'runpy',
  'warnings',
  'posixpath',
  'genericpath',
  'contextlib',
  'errno',
  'collections',
  'types',
  'functools',
  'enum',
  'keyword',
];
const loud = Object.fromEntries(
  names.map((name) => [`${name}.py`, `import sys; sys.stderr.write("${name} was loaded\\n")`]),
);

describe('24: modules of the user that are named like others', () => {
  test.each([
    ['the waiting interpreter', {}],
    ['a new interpreter', { env_vars: ['PYTHONHASHSEED=0'] }],
    ['an interpreter after pre_commands', { pre_commands: ['true'] }],
    ['another entrypoint', { entrypoint: 'main.py', script_args: ['-v'] }],
  ])('are not seen by the agent, nor at the start of %s', async (_name, metadata) => {
    const result = await run(service, { ...loud, 'main.py': 'print("ran")' }, metadata);
    expect(result).toMatchObject({ status: 'completed', exit_code: 0, stdout: 'ran\n', stderr: '' });
  });

  test('are what the program gets when it asks for them', async () => {
    const files = {
      'main.py': 'import json, tarfile; print(json.mine, tarfile.mine, json.__file__)',
      'json.py': 'mine = "json"',
      'tarfile.py': 'mine = "tarfile"',
    };
    expect(await run(service, files)).toMatchObject({ stdout: 'json tarfile /work/json.py\n', stderr: '' });
  });

  test('are not loaded to report an error', async () => {
    const { traceback: _, linecache: __, ...rest } = loud as Record<string, string>;
    const result = await run(service, { ...rest, 'main.py': 'x = 1\nraise KeyError("y")' });
    expect(result).toMatchObject({ status: 'completed', exit_code: 1, error_type: 'KeyError', error_line: 2 });
    expect(result.stderr).toMatch(/^Traceback[\s\S]*KeyError: 'y'\n$/);
  });

  test('are not loaded to find the last expression', async () => {
    const files = [
      { name: 'main.py', content: '"""doc"""\nx = 20\nx + 1' },
      ...Object.entries(loud).map(([name, content]) => ({ name, content })),
    ];
    expect(await runEval(service, { files, eval_last_expr: true })).toMatchObject({
      exit_code: 0,
      result: '21',
      stderr: '',
    });
  });

  test('that end the process at once end no more than the program', async () => {
    const files = {
      ...Object.fromEntries(names.map((name) => [`${name}.py`, 'import posix; posix._exit(99)'])),
      'main.py': 'import json; print("never")',
    };
    expect(await run(service, files)).toMatchObject({ status: 'completed', exit_code: 99, stdout: '' });
    expect(await run(service, 'print("next")')).toMatchObject({ stdout: 'next\n' });
  });

  test('in packages, beside .pth files and a pyvenv.cfg, change nothing either', async () => {
    const files = {
      'main.py': 'print("ran")',
      'json/__init__.py': 'raise SystemExit("json")',
      'encodings/__init__.py': 'raise SystemExit("encodings")',
      'evil.pth': 'import os; os._exit(9)',
      'pyvenv.cfg': 'home = /work/evil',
      'python311._pth': '/work/evil',
      python3: '#!/bin/sh\nexit 8\n',
    };
    expect(await run(service, files)).toMatchObject({ exit_code: 0, stdout: 'ran\n', stderr: '' });
  });

  test("with a site of the user are the user's, as with plain Python", async () => {
    const site = '.local/lib/python3.11/site-packages';
    const files = {
      'main.py': 'import mine; print(mine.value)',
      [`${site}/mine.py`]: 'value = "user site"',
      [`${site}/usercustomize.py`]: 'print("customized")',
    };
    const { stdout, stderr } = await run(service, files);
    expect([stdout, stderr]).toEqual(['customized\nuser site\n', '']);
  });
});
