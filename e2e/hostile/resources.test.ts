import type { ExecutionResult } from '@python-executor/contract';
import { describe, expect, test, vi } from 'vitest';
import { call, kill, read, run, submit } from '../support/api.js';
import { backend } from '../support/backend.js';
import { docker } from '../support/engine.js';
import { serviceForFile } from '../support/file-service.js';
import { processesNamed, processName, takeName } from '../support/machine.js';
import { mostMemory } from '../support/memory.js';
import { testBackend } from '../support/service.js';
import { slowness } from '../support/slowness.js';

// As many wait as tests run at once, so that a time-out is measured and not the making of sandboxes.
const service = serviceForFile({ env: { PYEXEC_MAX_INODES: '1000', PYEXEC_POOL_SIZE: '5', PYEXEC_POOL_MAX: '5' } });
const growthBytesMax = 64 * 1024 * 1024;

/** Runs a program under a name that all its processes share, and sees to it that none of them survives. */
async function runToDeath(code: string, metadata: Readonly<Record<string, unknown>> = {}): Promise<ExecutionResult> {
  const name = processName();
  const result = await run(service, `${takeName(name)}\n${code}`, { script_args: [name], ...metadata });
  await vi.waitFor(async () => expect(await processesNamed(name)).toEqual([]), { timeout: 3_000, interval: 50 });
  return result;
}

test('the processes of a program can be seen from outside, so that their absence means something', async () => {
  const name = processName();
  const id = await submit(service, `${takeName(name)}\nimport os, time\nos.fork()\ntime.sleep(60)`);
  await vi.waitFor(async () => expect(await processesNamed(name)).toHaveLength(2), { timeout: 5_000, interval: 50 });
  expect(await kill(service, id)).toBe('killed');
  await vi.waitFor(async () => expect(await processesNamed(name)).toEqual([]), { timeout: 3_000, interval: 50 });
});

describe.concurrent('15: a program that does not end', () => {
  const timeoutSeconds = 2;
  const forkChain = `
import os, time
if os.fork() == 0:
    while True:
        if os.fork(): os._exit(0)
        time.sleep(0.001)
time.sleep(1000)`;

  test.each([
    ['busy loop', 'while True: pass'],
    ['sleep', 'import time; time.sleep(1000)'],
    ['read from stdin of a child that never ends', 'import subprocess; subprocess.run(["sleep", "1000"])'],
    [
      'every signal ignored',
      'import signal, time\nfor n in range(1, 65):\n  try: signal.signal(n, signal.SIG_IGN)\n  except (OSError, ValueError): pass\nwhile True: time.sleep(1000)',
    ],
    [
      'every signal blocked',
      'import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: time.sleep(1000)',
    ],
    [
      'double fork with setsid',
      'import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    while True: time.sleep(1)\n  os._exit(0)\nos.wait()\nwhile True: time.sleep(1)',
    ],
    ['stopped by itself', 'import os, signal; os.kill(0, signal.SIGSTOP)'],
    [
      'threads',
      'import threading, time\nfor _ in range(20): threading.Thread(target=time.sleep, args=(1000,)).start()',
    ],
    ['an atexit handler', 'import atexit, time; atexit.register(time.sleep, 1000)'],
    ['forks that replace one another', forkChain],
  ])('is ended in time, by its limit, with its output so far: %s', async (_name, code) => {
    const began = performance.now();
    const program = `import sys\nprint("so far", flush=True)\nprint("and this", end="", file=sys.stderr, flush=True)\n${code}`;
    const result = await runToDeath(program, { config: { timeout_seconds: timeoutSeconds } });
    const elapsedMs = performance.now() - began;
    expect(result).toMatchObject({
      status: 'failed',
      exit_code: 137,
      timed_out: true,
      oom_killed: false,
      stdout: 'so far\n',
      stderr: 'and this',
      error: 'Timed out after 2 s',
      termination: { reason: 'timeout', phase: 'run' },
    });
    expect(elapsedMs).toBeGreaterThanOrEqual(timeoutSeconds * 1000);
    expect(elapsedMs).toBeLessThan((timeoutSeconds + 2 * slowness) * 1000);
    expect(result.duration_ms).toBeGreaterThanOrEqual(timeoutSeconds * 1000);
  });

  test('in a pre_command is ended in time too, before the program', async () => {
    const pre_commands = ['echo so far; exec sleep 1000'];
    const result = await run(service, 'print("never")', { pre_commands, config: { timeout_seconds: timeoutSeconds } });
    expect(result).toMatchObject({ status: 'failed', exit_code: 137, timed_out: true, stdout: 'so far\n' });
    expect(result.termination).toEqual({ reason: 'timeout', phase: 'setup' });
  });

  test('but leaves a child behind has ended, and the child ends with it', async () => {
    const program = `
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
os.wait()
print("done")`;
    expect(await runToDeath(program)).toMatchObject({ status: 'completed', exit_code: 0, stdout: 'done\n' });
  });
});

describe('16: too many processes', () => {
  test('is EAGAIN inside', async () => {
    const program = `
import errno, os, time
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(1000)
        children += 1
except OSError as error:
    print(errno.errorcode[error.errno], 100 < children < 256)`;
    expect(await runToDeath(program)).toMatchObject({ status: 'completed', stdout: 'EAGAIN True\n' });
  });

  test('is an error for threads', async () => {
    const program = `
import threading, os
event = threading.Event()
try:
    for count in range(10_000):
        threading.Thread(target=event.wait, daemon=True).start()
except RuntimeError as error:
    print(error, count < 256, flush=True)
os._exit(3)`;
    const expected = { status: 'completed', exit_code: 3, stdout: "can't start new thread True\n" };
    expect(await runToDeath(program)).toMatchObject(expected);
  });

  test.each([
    ['forks', 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'],
    [
      'shells',
      'import os; os.execvp("sh", ["sh", "-c", "b() { b | b & }; b; while :; do :; done", *__import__("sys").argv])',
    ],
  ])('harms neither host nor service: a bomb of %s', async (_name, program) => {
    const bomb = runToDeath(program, { config: { timeout_seconds: 3 } });
    const ended = bomb.then(() => true);
    const health: number[] = [];
    while (!(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))]))) {
      const asked = performance.now();
      expect((await call(service, 'GET', '/health')).status).toBe(200);
      health.push(performance.now() - asked);
    }
    expect((await bomb).status).not.toBe('killed');
    expect(Math.max(...health)).toBeLessThan(1_000 * slowness);
    expect(await run(service, 'print(1)')).toMatchObject({ stdout: '1\n' });
  });
});

describe.concurrent('16: too much memory', () => {
  const config = { memory_mb: 64, timeout_seconds: 30 };
  const bomb = 'pile = []\nwhile True: pile.append(bytearray(b"x") * 1_000_000)';

  test.each([
    ['of the program', bomb],
    ['at once', 'x = b"x" * 500_000_000'],
    ['in /tmp', 'with open("/tmp/x", "wb") as file:\n  while True: file.write(bytes(1_000_000))'],
    ['in /work', 'with open("x", "wb") as file:\n  while True: file.write(bytes(1_000_000))'],
    ['of a program that wants to be spared', `open("/proc/self/oom_score_adj", "w").write("500")\n${bomb}`],
    [
      'of many threads',
      `import threading\ndef eat():\n  pile = []\n  while True: pile.append(bytearray(b"x") * 100_000)\nfor _ in range(8): threading.Thread(target=eat).start()`,
    ],
  ])('ends the program: %s', async (_name, code) => {
    const result = await runToDeath(`print("so far", flush=True)\n${code}`, { config });
    expect(result).toMatchObject({
      status: 'failed',
      exit_code: 137,
      oom_killed: true,
      timed_out: false,
      stdout: 'so far\n',
      termination: { reason: 'oom', phase: 'run' },
    });
    expect(result.error).toContain('64 MB');
  });

  test('of a child ends the child alone, and is flagged', async () => {
    const program = `
import subprocess, sys
child = subprocess.run([sys.executable, "-c", ${JSON.stringify(bomb)}])
print(child.returncode)
sys.exit(3)`;
    expect(await runToDeath(program, { config })).toMatchObject({
      status: 'completed',
      exit_code: 3,
      oom_killed: true,
      stdout: '-9\n',
      termination: { reason: 'exit', phase: 'run' },
    });
  });

  test('of a forked child that was to be spared ends no innocent, least of all the agent', async () => {
    const program = `
import os
pid = os.fork()
if pid == 0:
    pile = []
    while True: pile.append(bytearray(b"x") * 1_000_000)
print(os.waitpid(pid, 0)[1])`;
    expect(await runToDeath(program, { config })).toMatchObject({
      status: 'completed',
      oom_killed: true,
      stdout: '9\n',
    });
  });

  test('in a pre_command ends the execution there', async () => {
    const pre_commands = ['echo so far; exec python3 -c "x = bytearray(b\'x\') * 500_000_000"'];
    const result = await run(service, 'print("never")', { pre_commands, config });
    expect(result).toMatchObject({ status: 'failed', exit_code: 137, oom_killed: true, stdout: 'so far\n' });
    expect(result.termination).toEqual({ reason: 'oom', phase: 'setup' });
  });

  test('that was merely asked for is a MemoryError or nothing at all', async () => {
    const program = 'try:\n  x = bytearray(10 ** 15)\nexcept MemoryError: print("MemoryError")';
    expect(await run(service, program, { config })).toMatchObject({ stdout: 'MemoryError\n', oom_killed: false });
  });
});

describe('17: the disk', () => {
  const config = { disk_mb: 8 };
  const fill = (directory: string) => `
import errno, os
written = 0
try:
    with open("${directory}/x", "wb", buffering=0) as file:
        while True: written += file.write(bytes(65536))
except OSError as error:
    print(errno.errorcode[error.errno], written // 1_000_000)
os.unlink("${directory}/x")
open("${directory}/y", "w").write("again")`;

  test.each(['/work', '/tmp'])('is full after what was asked for, and can be used again: %s', async (directory) => {
    expect(await run(service, fill(directory), { config })).toMatchObject({
      status: 'completed',
      exit_code: 0,
      stdout: 'ENOSPC 8\n',
    });
  });

  test('of shared memory is full after 64 MiB', async () => {
    expect(await run(service, fill('/dev/shm'), { config })).toMatchObject({ stdout: 'ENOSPC 67\n' });
  });

  test.each(['/work', '/tmp'])('has no more than its inodes: %s', async (directory) => {
    const program = `
import errno
try:
    for count in range(2000): open("${directory}/%d" % count, "w").close()
except OSError as error:
    print(errno.errorcode[error.errno], 900 < count < 1000)`;
    expect(await run(service, program)).toMatchObject({ status: 'completed', stdout: 'ENOSPC True\n' });
  });

  test('that is too small for the archive is said before anything runs', async () => {
    const files = { 'main.py': 'print("never")', data: Buffer.alloc(4 * 1024 * 1024, 'x') };
    const result = await run(service, files, { config: { disk_mb: 2 } });
    expect(result).toMatchObject({
      status: 'failed',
      stdout: '',
      termination: { reason: 'disk_full', phase: 'setup' },
    });
    expect(result.error).toContain('disk_mb');
  });

  test('has too few inodes for the archive, which is said too', async () => {
    const files = Object.fromEntries(Array.from({ length: 1500 }, (_, index) => [`f${index}`, '']));
    const result = await run(service, { 'main.py': 'print("never")', ...files });
    expect(result).toMatchObject({
      status: 'failed',
      stdout: '',
      termination: { reason: 'disk_full', phase: 'setup' },
    });
  });

  test('is not the way to a file of unlimited size', async () => {
    const program = `
import errno, os
file = os.open("x", os.O_RDWR | os.O_CREAT)
os.truncate("x", 1 << 40)
try:
    for offset in range(0, 1 << 40, 1 << 20): os.pwrite(file, b"x" * 4096, offset)
except OSError as error:
    print(errno.errorcode[error.errno])`;
    expect(await run(service, program, { config })).toMatchObject({ stdout: 'ENOSPC\n' });
  });
});

describe('18: endless output', () => {
  const capBytes = 10_485_760;

  test.each(['stdout', 'stderr'] as const)(
    'on %s is cut and flagged, and the memory of the server stays flat',
    async (stream) => {
      await run(service, 'print("warm")');
      const program = `import sys\nwhile True: sys.${stream}.write("x" * 65_535 + "\\n")`;
      const { grownBytes, value } = await mostMemory(service, () =>
        runToDeath(program, { config: { timeout_seconds: 4 } }),
      );
      expect(value).toMatchObject({ status: 'failed', timed_out: true, termination: { reason: 'timeout' } });
      expect(value[stream]).toHaveLength(capBytes);
      expect([value.stdout_truncated, value.stderr_truncated]).toEqual([stream === 'stdout', stream === 'stderr']);
      expect(grownBytes).toBeLessThan(growthBytesMax);
    },
  );

  test('of an execution that nobody waits for costs no more, and can be read afterwards', async () => {
    const program = 'import sys\nwhile True: sys.stdout.write("y" * 65_536)';
    const { grownBytes, value: id } = await mostMemory(service, async () => {
      const submitted = await submit(service, program, { config: { timeout_seconds: 4 } });
      const ended = () => service.log.some((line) => line.includes(submitted) && line.includes('"timeout"'));
      await vi.waitFor(() => expect(ended()).toBe(true), { timeout: 10_000, interval: 100 });
      return submitted;
    });
    expect(grownBytes).toBeLessThan(growthBytesMax);
    const result = await read(service, id);
    expect(result).toMatchObject({ status: 'failed', timed_out: true, stdout_truncated: true });
    expect(result.stdout).toHaveLength(capBytes);
  });

  test('in single bytes costs no more', async () => {
    const program = 'import os\nwhile True: os.write(1, b"z")';
    const { grownBytes, value } = await mostMemory(service, () =>
      runToDeath(program, { config: { timeout_seconds: 3 } }),
    );
    expect(value.stdout).toMatch(/^z{1000,}$/);
    expect(grownBytes).toBeLessThan(growthBytesMax);
  });

  test.skipIf(testBackend !== 'docker')('is in no log file of the engine', async () => {
    const id = await submit(service, 'import sys\nwhile True: sys.stdout.write("x" * 65_536)');
    await vi.waitFor(async () => expect((await read(service, id)).stdout).not.toBe(''), {
      timeout: 5_000,
      interval: 50,
    });
    for (const sandbox of await backend.sandboxes(service.ownerId)) {
      const log = await docker('inspect', '--format', '{{.HostConfig.LogConfig.Type}} "{{.LogPath}}"', sandbox);
      expect(log.trim()).toBe('none ""');
    }
    expect(await kill(service, id)).toBe('killed');
  });
});
