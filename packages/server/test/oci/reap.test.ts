import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import {
  backendOptions,
  installed,
  never,
  openBackend,
  processesOf,
  programSpec,
  sandboxesOf,
  tracesOf,
} from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

/** Neither hears of the end of its stdin nor goes by itself. */
const stubbornAgent = `
import os, time
os.write(1, b'up')
while True: time.sleep(60)
`;

/** Ends with its stdin, as the real one does. */
const politeAgent = `
import os
os.write(1, b'up')
os.read(0, 1)
`;

describe.each(installed(['crun', 'runc']))('after a server with %s was killed', (runtime) => {
  let server: ChildProcessByStdio<null, Readable, null>;
  let ownerId: string;
  let left: readonly string[];

  async function killServerWith(agentSource: string): Promise<void> {
    ownerId = randomUUID();
    const options = { ...backendOptions({ runtime, agentSource, ownerId }), spec: programSpec };
    const program = fileURLToPath(new URL('leave-behind.mjs', import.meta.url));
    server = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = await once(server.stdout, 'data');
    left = JSON.parse(String(said));
    expect(left.flatMap(processesOf).length).toBeGreaterThanOrEqual(2);
    server.kill('SIGKILL');
    await once(server, 'exit');
  }

  test('its sandboxes end by themselves, and what is left is reaped', async () => {
    await killServerWith(politeAgent);
    await vi.waitFor(() => expect(left.flatMap(processesOf)).toEqual([]), 5000);
    const successor = openBackend({ runtime, ownerId });
    expect(await successor.reap()).toBe(2);
    expect(tracesOf(ownerId)).toEqual([]);
    await successor.close();
  });

  test('sandboxes that run on are killed by the next start, and nothing is left', async () => {
    await killServerWith(stubbornAgent);
    expect(left.flatMap(processesOf).length).toBeGreaterThanOrEqual(2);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    expect(mounts).not.toContain('python-executor-test');
    const successor = openBackend({ runtime, ownerId });
    expect(await successor.reap()).toBe(2);
    expect(left.flatMap(processesOf)).toEqual([]);
    expect(tracesOf(ownerId)).toEqual([]);
    expect(await successor.reap()).toBe(0);
    await successor.close();
  });

  test('another server reaps what is left just as well', async () => {
    await killServerWith(stubbornAgent);
    const stranger = openBackend({ runtime });
    expect(await stranger.reap()).toBe(2);
    expect(left.flatMap(processesOf)).toEqual([]);
    expect(tracesOf(ownerId)).toEqual([]);
    await stranger.close();
  });
});

describe.each([
  ['starts of one server', (ownerId: string) => ownerId],
  ['servers', () => randomUUID()],
])('two %s at a time', (_title, otherOwner) => {
  const ownerId = randomUUID();
  const otherId = otherOwner(ownerId);
  const first = openBackend({ ownerId });
  const second = openBackend({ ownerId: otherId });

  test('leave each other alone', async () => {
    const sandboxes = await Promise.all([first, second].map((backend) => backend.create(programSpec, never())));
    expect(await first.reap()).toBe(0);
    expect(await second.reap()).toBe(0);
    const found = new Set([ownerId, otherId].flatMap(sandboxesOf));
    expect([...found].sort()).toEqual(sandboxes.map(({ id }) => id).sort());
    for (const sandbox of sandboxes) {
      sandbox.stdin.write('alive');
      const [said] = await once(sandbox.stdout, 'data');
      expect(String(said)).toBe('alive');
    }
    await Promise.all([first.close(), second.close()]);
    expect(sandboxes.flatMap(({ id }) => processesOf(id))).toEqual([]);
    expect([ownerId, otherId].flatMap(tracesOf)).toEqual([]);
  });
});
