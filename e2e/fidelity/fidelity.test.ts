import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Service, startService, testBackend } from '../support/service.js';
import { expectSame } from './compare.js';
import { openPlainContainer, runInContainer } from './container.js';
import type { Plain } from './plain.js';
import { needsNewInterpreter, newInterpreter, type Program, py } from './program.js';
import { programs } from './programs/all.js';
import { runByService } from './service.js';

vi.setConfig({ maxConcurrency: 8 });

let service: Service;
let plain: Plain;

beforeAll(async () => {
  plain = openPlainContainer();
  service = await startService({ env: { PYEXEC_POOL_SIZE: '8', PYEXEC_POOL_REFILL: '4' } });
});
afterAll(async () => {
  await service?.stop();
  await plain?.close();
});

async function expectPlain(program: Program): Promise<void> {
  const [expected, actual] = await Promise.all([plain.run(program), runByService(service.url, program)]);
  expectSame(program, actual, expected);
}

// Where it matters how the interpreter came up, one that was up already and a new one are tried. The other topics are
// tried with both by versions.test.ts, which takes no containers.
const topicsOfStart = ['start', 'imports'];

for (const [topic, table] of Object.entries(programs)) {
  describe.concurrent(topic, () => {
    for (const program of table) {
      test(`${program.name}: as in plain Python`, () => expectPlain(program));
      if (needsNewInterpreter(program) || !topicsOfStart.includes(topic)) continue;
      const forced = { ...program, env: [...(program.env ?? []), newInterpreter] };
      test(`${program.name}: as in plain Python, by a new interpreter`, () => expectPlain(forced));
    }
  });
}

describe.concurrent('a container of its own', () => {
  // What the other programs are compared with must itself be what `docker run` does.
  const sample: readonly Program[] = [
    {
      name: 'output, arguments, stdin',
      main: 'import sys; print(sys.argv, input(), sys.path)\n',
      args: ['a', ''],
      stdin: 'x',
    },
    { name: 'an exception', main: 'def f():\n  1/0\nf()\n' },
    { name: 'an exit code', main: 'import sys; print("x", end=""); sys.exit(300)\n' },
    {
      name: 'descriptors',
      main: 'import os; print(os.listdir("/proc/self/fd"), os.isatty(0), os.getsid(0) == os.getpid())\n',
    },
    {
      name: 'environment',
      main: 'import os; os.environ.pop("PWD", 0); print(sorted(os.environ.items()), os.umask(0), os.getcwd(), os.uname().nodename)\n',
    },
    { name: 'a background process', main: 'import subprocess; subprocess.Popen(["sleep", "20"]); print("done")\n' },
  ];
  test.each(sample)('$name: as by docker run', async (program) => {
    const [expected, actual, reference] = await Promise.all([
      runInContainer(program),
      runByService(service.url, program),
      plain.run(program),
    ]);
    expectSame(program, actual, expected);
    expectSame(program, reference, expected);
  });
});

// Forks of a zygote share its seed: hashes of strings that are there already cannot be made anew.
const forked = testBackend === 'oci' && process.env.PYEXEC_TEST_ZYGOTE !== 'off';

test.skipIf(forked)('hashes are randomised anew for every run', async () => {
  const program = { name: 'hash', main: 'print(hash("a"))\n' };
  const runs = await Promise.all([1, 2, 3].map(() => runByService(service.url, program)));
  expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(3);
});

// The service's report of exceptions, its waiting and its hurry at the end leave these traces. Each is here so that a
// change shows.
describe.concurrent('differences that remain', () => {
  const differences: readonly (readonly [program: Program, plain: string, service: string])[] = [
    [{ name: 'an exit handler more', main: 'import atexit; print(atexit._ncallbacks())\n' }, '0\n', '1\n'],
    [
      {
        name: 'arguments in /proc/self/cmdline',
        main: 'print(open("/proc/self/cmdline").read().split("\\0"))\n',
        args: ['a'],
      },
      "['python3', 'main.py', 'a', '']\n",
      "['python3', 'main.py', '']\n",
    ],
    [
      {
        name: 'the report of an exception, to an audit hook',
        main: py`
import sys
sys.addaudithook(lambda event, _: print(event) if event.startswith("socket") else None)
1/0
`,
      },
      '',
      'socket.__new__\nsocket.connect\n',
    ],
    [
      {
        // It belongs to the interpreter, not to the program's modules, and Python would clear it last of all.
        name: 'an object that only the table of codecs knows at the end',
        main: py`
import codecs, os
class A:
    def __del__(self, write=os.write): write(1, b"gone")
codecs.register(lambda name, a=A(): None)
`,
      },
      'gone',
      '',
    ],
    ...(testBackend === 'oci'
      ? ([
          [
            { name: 'frozen objects, of before', main: 'import gc; print(gc.get_freeze_count() > 0)\n' },
            'False\n',
            'True\n',
          ],
        ] as const)
      : []),
    [
      {
        name: 'PYTHONPATH in /proc/self/environ',
        main: 'print("PYTHONPATH" in open("/proc/self/environ").read())\n',
      },
      'False\n',
      'True\n',
    ],
  ];
  test.each(differences)('$0.name', async (program, expected, actual) => {
    expect((await plain.run(program)).stdout).toBe(expected);
    expect((await runByService(service.url, program)).stdout).toBe(actual);
  });
});

test('a program that deletes what tells of its exit ends with 0', async () => {
  const program = { name: 'exit', main: 'import sys; del __file__, __cached__; sys.exit(3)\n' };
  expect((await plain.run(program)).exitCode).toBe(3);
  expect((await runByService(service.url, program)).exitCode).toBe(0);
});
