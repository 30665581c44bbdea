import { once } from 'node:events';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import {
  installed,
  never,
  openBackend,
  processesOf,
  programSpec,
  readAll,
  readLimit,
  sandboxesOf,
  slowness,
  type TestBackend,
  tracesOf,
} from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const mebibyte = 1024 * 1024;

describe.each(installed(['crun', 'runc']))('a sandbox of %s', (runtime) => {
  const backends: TestBackend[] = [];
  const open = (agentSource?: string): TestBackend => {
    const backend = openBackend({ runtime, ...(agentSource === undefined ? {} : { agentSource }) });
    backends.push(backend);
    return backend;
  };
  const backend = open();

  afterEach(() => {
    for (const { ownerId } of backends) expect(sandboxesOf(ownerId)).toEqual([]);
  });

  afterAll(async () => {
    for (const opened of backends) {
      await opened.close();
      expect(tracesOf(opened.ownerId)).toEqual([]);
    }
  });

  test('hands on what goes into stdin and ends with it', async () => {
    const sandbox = await backend.create(programSpec, never());
    const sent = Buffer.alloc(300_000, 'abc');
    sandbox.stdin.end(sent);
    expect((await readAll(sandbox)) === sent.toString()).toBe(true);
    await sandbox.destroy();
  });

  test('is gone with everything in it once it is destroyed, twice if need be', async () => {
    const busy = open(`
import os, signal, sys
# Out of the session, out of the process group, deaf to whatever can be ignored.
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
        os.close(1)
        while True: pass
os.write(1, b'up')
while True: pass
`);
    const sandbox = await busy.create(programSpec, never());
    await once(sandbox.stdout, 'data');
    await vi.waitFor(() => expect(processesOf(sandbox.id).length).toBeGreaterThan(8), 5000);
    const inside = processesOf(sandbox.id);
    const beganMs = performance.now();
    await Promise.all([sandbox.destroy(), sandbox.destroy()]);
    expect(performance.now() - beganMs).toBeLessThan(2000 * slowness);
    expect(inside.filter(isRunning)).toEqual([]);
    await sandbox.destroy();
    expect(await sandbox.measure()).toBeUndefined();
  });

  test('can be destroyed at any moment of its making', async () => {
    for (let waitMs = 0; waitMs < 30; waitMs += 2) {
      const sandbox = await backend.create(programSpec, never());
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await sandbox.destroy();
      expect(sandboxesOf(backend.ownerId)).toEqual([]);
    }
  });

  test('is not made for a request that was aborted', async () => {
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(backend.create(programSpec, { signal })).rejects.toThrow('too late');
  });

  test('is held up by a reader that does not read', async () => {
    const loud = open(`
import os
written = 0
while True:
    written += os.write(1, b'x' * 65536)
    os.write(2, b'%d\\n' % written)
`);
    const sandbox = await loud.create(programSpec, never());
    sandbox.stdout.pause();
    let said = '';
    sandbox.stderr.on('data', (chunk) => {
      said += chunk;
    });
    let cpuMs: number | undefined = -1;
    await vi.waitUntil(
      async () => {
        const before = cpuMs;
        cpuMs = (await sandbox.measure())?.cpuMs;
        return said !== '' && cpuMs === before;
      },
      { timeout: 10_000, interval: 20 },
    );
    expect(Number(said.trim().split('\n').at(-1))).toBeLessThan(8 * mebibyte);
    await sandbox.destroy();
  });

  test('is measured: processor time and the most memory it had', async () => {
    const working = open(`
import os, time
block = bytearray(50 * 1024 * 1024)
while time.process_time() < 0.2: pass
del block
os.write(1, b'done')
os.read(0, 1)
`);
    const sandbox = await working.create(programSpec, never());
    await once(sandbox.stdout, 'data');
    const measured = await sandbox.measure();
    expect(measured?.cpuMs).toBeGreaterThanOrEqual(200);
    expect(measured?.cpuMs).toBeLessThan(2000 * slowness);
    expect(measured?.memoryPeakBytes).toBeGreaterThan(50 * mebibyte);
    expect(measured?.memoryPeakBytes).toBeLessThan(100 * mebibyte);
    expect(measured?.oomKilled).toBe(false);
    await sandbox.destroy();
  });

  test('goes on when only a child was killed for memory, and says so', async () => {
    const hungry = open(`
import os
pid = os.fork()
if pid == 0:
    open('/proc/self/oom_score_adj', 'w').write('1000')
    blocks = [bytearray(16 * 1024 * 1024) for _ in range(64)]
os.write(1, b'%d' % os.waitpid(pid, 0)[1])
os.read(0, 1)
`);
    const sandbox = await hungry.create(programSpec, never());
    const [said] = await once(sandbox.stdout, 'data');
    expect(String(said)).toBe('9');
    expect((await sandbox.measure())?.oomKilled).toBe(true);
    await sandbox.destroy();
  });

  test('keeps to its memory in files too', async () => {
    const hoarding = open(`
import os
pid = os.fork()
if pid == 0:
    open('/proc/self/oom_score_adj', 'w').write('1000')
    for place in ('/work', '/tmp'):
        with open(place + '/x', 'wb') as file:
            for _ in range(60): file.write(bytes(1024 * 1024))
os.write(1, b'%d' % os.waitpid(pid, 0)[1])
os.read(0, 1)
`);
    const sandbox = await hoarding.create({ ...programSpec, memoryBytes: 96 * mebibyte }, never());
    const [said] = await once(sandbox.stdout, 'data');
    expect(String(said)).toBe('9');
    await sandbox.destroy();
  });

  // Only where its cgroup is ours does it last longer than the sandbox.
  test.runIf(runtime === 'crun')('says after its end that its agent was killed for memory', async () => {
    const hungry = open('blocks = [bytearray(16 * 1024 * 1024) for _ in range(64)]');
    const sandbox = await hungry.create(programSpec, never());
    await readAll(sandbox);
    expect(await sandbox.measure()).toMatchObject({ oomKilled: true, memoryPeakBytes: programSpec.memoryBytes });
    await sandbox.destroy();
  });

  test('gets the share of the processors that was asked for', async () => {
    const sandbox = await backend.create({ ...programSpec, cpuShares: 2048 }, never());
    const share = readLimit(sandbox.id, 'cpu.shares') ?? readLimit(sandbox.id, 'cpu.weight');
    await sandbox.destroy();
    expect(['2048', '79']).toContain(share);
  });

  test('runs beside others that share nothing with it', async () => {
    const neighbour = open(`
import json, os, socket
os.read(0, 1)
name = '\\0neighbour'
try:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
    bound = True
except OSError:
    bound = False
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(4711, 4096, 0o600)
made = libc.shmget(4711, 4096, 0o1600)
found = [entry for place in ('/tmp', '/dev/shm', '/work') for entry in os.listdir(place)]
open('/tmp/mark', 'w').close()
open('/dev/shm/mark', 'w').close()
pids = [entry for entry in os.listdir('/proc') if entry.isdigit()]
os.write(1, json.dumps([bound, segment, made >= 0, found, pids]).encode())
os.read(0, 1)
`);
    const sandboxes = await Promise.all([1, 2].map(() => neighbour.create(programSpec, never())));
    const answers = [];
    for (const sandbox of sandboxes) {
      sandbox.stdin.write('.');
      const [said] = await once(sandbox.stdout, 'data');
      answers.push(JSON.parse(String(said)));
    }
    const alone = [true, -1, true, [], ['1']];
    expect(answers).toEqual([alone, alone]);
    await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
  });
});

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
