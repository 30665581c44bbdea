import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Agents, openAgents } from './agent.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000, maxConcurrency: 4 });

let agents: Agents;

beforeAll(async () => {
  agents = await openAgents();
});
afterAll(() => agents?.close());

describe.concurrent('stdin', () => {
  const megabytes = 'abcdefghi\n'.repeat(1_000_000);

  test('of 10 MB arrives whole', async () => {
    const main = 'import hashlib, sys\nprint(len(sys.stdin.buffer.read()))\n';
    expect(await agents.run({ main, stdin: megabytes })).toMatchObject({ stdout: '10000000\n', exitCode: 0 });
  });

  test('of 10 MB that comes back at once is no deadlock', async () => {
    const main = 'import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)\n';
    const { stdout } = await agents.run({ main, stdin: megabytes });
    expect(stdout === megabytes).toBe(true);
  });

  test('of 10 MB that nobody reads is no deadlock, nor is what is printed meanwhile', async () => {
    const main = 'print("x" * 3_000_000)\n';
    expect(await agents.run({ main, stdin: megabytes })).toMatchObject({ exitCode: 0 });
  });

  test('is kept for the program while pre_commands run, which have none', async () => {
    const ran = await agents.run({
      main: 'print(len(input()))\n',
      stdin: `${'x'.repeat(3_000_000)}\n`,
      preCommands: ['cat; echo "read: $?"'],
    });
    expect(ran).toMatchObject({ stdout: 'read: 0\n3000000\n', exitCode: 0 });
  });
});

describe.concurrent('output', () => {
  test('is delivered while the program runs', async () => {
    const controller = new AbortController();
    const running = agents.run({
      main: 'import time\nprint("first", flush=True)\ntime.sleep(60)\n',
      signal: controller.signal,
      onOutput() {
        controller.abort(new Error('seen'));
        return undefined;
      },
    });
    await expect(running).rejects.toThrow('seen');
  });

  test('beyond its limit is cut, and the program goes on', async () => {
    const main = 'import sys\nprint("x" * 300_000)\nprint("still here", file=sys.stderr)\n';
    const ran = await agents.run({ main, stdoutBytesMax: 1000 });
    expect(ran).toMatchObject({ stdout: 'x'.repeat(1000), stderr: 'still here\n', exitCode: 0 });
    expect(ran).toMatchObject({ stdoutTruncated: true, stderrTruncated: false });
  });

  test('of exactly its limit is whole', async () => {
    const ran = await agents.run({ main: 'print("x" * 999)\n', stdoutBytesMax: 1000 });
    expect(ran).toMatchObject({ stdoutTruncated: false });
    expect(ran.stdout).toHaveLength(1000);
  });

  test('of a background process that never ends does not delay the end', async () => {
    const main = 'import subprocess\nsubprocess.Popen(["yes"])\nsubprocess.Popen(["sleep", "60"])\nprint("done")\n';
    const ran = await agents.run({ main });
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toContain('done\n');
  });

  test('that is still in the pipe at the end is not lost', async () => {
    const main = 'import fcntl, os\nfcntl.fcntl(1, 1031, 1 << 20)\nos.write(1, b"x" * 1_000_000)\nos._exit(3)\n';
    const ran = await agents.run({ main });
    expect({ size: ran.stdout.length, code: ran.exitCode }).toEqual({ size: 1_000_000, code: 3 });
  });
});

describe.concurrent('pre_commands', () => {
  test('run in order, as root, with the variables of the job, before the program as the user', async () => {
    const ran = await agents.run({
      main: 'import os\nprint(os.getuid(), open("made").read(), os.environ["A"])\n',
      env: ['A=a b'],
      preCommands: ['id -u; pwd', 'echo "$A" >made; echo err >&2', 'test -f main.py && exec true'],
    });
    expect(ran).toMatchObject({ stdout: '0\n/work\n1000 a b\n a b\n', stderr: 'err\n', exitCode: 0, phase: 'run' });
    expect(ran.phaseBefore).toBe('setup');
  });

  test('end the job with the exit code of the first that fails', async () => {
    const ran = await agents.run({ main: 'print("never")\n', preCommands: ['echo one', 'exit 7', 'echo never'] });
    expect(ran).toMatchObject({ stdout: 'one\n', exitCode: 7, phase: 'setup' });
    const killed = await agents.run({ main: 'print("never")\n', preCommands: ['kill -9 $$'] });
    expect(killed).toMatchObject({ signal: 9, exitCode: undefined, phase: 'setup' });
  });

  test('that leave processes behind are not waited for', async () => {
    const ran = await agents.run({
      main: 'print("main")\n',
      preCommands: ['sleep 60 & yes >/dev/null & echo started'],
    });
    expect(ran).toMatchObject({ stdout: 'started\nmain\n', exitCode: 0 });
  });

  test('that are no shell commands say so', async () => {
    const ran = await agents.run({ main: '', preCommands: ['no-such-command'] });
    expect(ran).toMatchObject({ exitCode: 127, phase: 'setup' });
    expect(ran.stderr).toContain('no-such-command: not found');
  });
});

describe.concurrent('a program', () => {
  test('may have arguments and variables as long as a request', async () => {
    const main = 'import os, sys\nprint(len(sys.argv[1]), len(os.environ["A"]), len(sys.argv))\n';
    const args = ['x'.repeat(3_000_000), ...Array.from({ length: 5_000 }, () => 'y')];
    expect(await agents.run({ main, args, env: [`A=${'z'.repeat(500_000)}`] })).toMatchObject({
      stdout: '3000000 500000 5002\n',
    });
  });

  test('that must be started anew and cannot, with arguments as long, says so', async () => {
    const ran = await agents.run({ main: '', args: ['x'.repeat(3_000_000)], env: ['TZ=UTC'] });
    expect(ran.exitCode).toBe(127);
    expect(ran.stderr).toContain('Argument list too long');
  });

  test('is measured', async () => {
    const ran = await agents.run({ main: 'x = bytearray(50_000_000)\nsum(range(3_000_000))\n' });
    expect(ran.wallMs).toBeGreaterThan(10);
    expect(ran.cpuMs).toBeGreaterThan(10);
    expect(ran.memoryPeakBytes).toBeGreaterThan(50_000_000);
    expect(ran.oomKilled).toBe(false);
  });
});
