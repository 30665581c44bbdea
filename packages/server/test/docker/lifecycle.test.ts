import { once } from 'node:events';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { containersOf, docker, expectNothingLeft, never, openBackend, programSpec, readAll } from './fixture.js';
import { openRelay, type Relay } from './relay.js';

vi.setConfig({ testTimeout: 30_000 });

const backend = openBackend();
const relays: Relay[] = [];

afterEach(async () => {
  await expectNothingLeft(backend);
});

afterAll(async () => {
  await backend.close();
  await Promise.all(relays.map((relay) => relay.close()));
});

async function relayed(): Promise<Relay> {
  const relay = await openRelay();
  relays.push(relay);
  return relay;
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((resolvePromise) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}

test('what goes into stdin comes out of stdout', async () => {
  const sandbox = await backend.create(programSpec, never());
  try {
    const sent = Buffer.alloc(300_000, 'abc');
    sandbox.stdin.end(sent);
    expect((await readAll(sandbox)) === sent.toString()).toBe(true);
  } finally {
    await sandbox.destroy();
  }
});

test('the smallest limits that a request can name are enough to start', async () => {
  const sandbox = await backend.create({ ...programSpec, memoryBytes: 1024 * 1024, cpuShares: 1 }, never());
  sandbox.stdin.end('hello');
  expect(await readAll(sandbox)).toBe('hello');
  await sandbox.destroy();
});

test.each(['end', 'destroy'] as const)('the container removes itself after the %s of stdin', async (way) => {
  const sandbox = await backend.create(programSpec, never());
  sandbox.stdin[way]();
  await vi.waitFor(() => expectNothingLeft(backend), 10_000);
  await sandbox.destroy();
});

test('destroying a busy sandbox removes it, ends its streams and can be done twice', async () => {
  const busy = openBackend({ agentSource: 'print("up", flush=True)\nwhile True: pass' });
  const sandbox = await busy.create(programSpec, never());
  await once(sandbox.stdout, 'data');
  await Promise.all([sandbox.destroy(), sandbox.destroy()]);
  await expectNothingLeft(busy);
  await readAll(sandbox);
  await sandbox.destroy();
  expect(await sandbox.measure()).toBeUndefined();
  await busy.close();
});

test('destroying many that are ending by themselves leaves nothing', async () => {
  const sandboxes = await Promise.all(Array.from({ length: 4 }, () => backend.create(programSpec, never())));
  for (const sandbox of sandboxes) sandbox.stdin.end();
  await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
  await expectNothingLeft(backend);
});

test.each(['POST /containers/create', '/attach?', '/start'])('an abort at %s leaves nothing', async (step) => {
  const relay = await relayed();
  const slow = openBackend({ socket: relay.socket });
  const abort = new AbortController();
  relay.onRequest = (line) => {
    if (line.includes(step)) abort.abort(new Error('not wanted any more'));
    return undefined;
  };
  await expect(slow.create(programSpec, abort)).rejects.toThrow('not wanted any more');
  await expectNothingLeft(slow);
  expect(relay.requests.some((line) => line.includes(step))).toBe(true);
  await slow.close();
});

test('an abort before anything happened asks the engine nothing', async () => {
  const relay = await relayed();
  const untouched = openBackend({ socket: relay.socket });
  const signal = AbortSignal.abort(new Error('too late'));
  await expect(untouched.create(programSpec, { signal })).rejects.toThrow('too late');
  expect(relay.requests).toEqual([]);
  await untouched.close();
});

test('a cold start asks the engine four questions and keeps one subscription', async () => {
  const relay = await relayed();
  const counted = openBackend({ socket: relay.socket });
  const first = await counted.create(programSpec, never());
  const second = await counted.create(programSpec, never());
  expect(relay.requests.filter((line) => line.startsWith('GET /events?'))).toHaveLength(1);
  expect(relay.requests).toHaveLength(2 * 4 + 1);
  await Promise.all([first.destroy(), second.destroy()]);
  await expectNothingLeft(counted);
  await counted.close();
});

test('a slow reader holds the program up and memory stays flat', async () => {
  const bytes = 200 * 1024 * 1024;
  const loud = openBackend({
    agentSource: `import os\nleft = ${bytes}\nwhile left: left -= os.write(1, b'x' * min(left, 65536))`,
  });
  const sandbox = await loud.create(programSpec, never());
  sandbox.stderr.resume();
  const used = () => process.memoryUsage().rss;
  const before = used();
  let peak = 0;
  let received = 0;
  for await (const chunk of sandbox.stdout) {
    received += chunk.length;
    peak = Math.max(peak, used());
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(received).toBe(bytes);
  expect(peak - before).toBeLessThan(64 * 1024 * 1024);
  await sandbox.destroy();
  await expectNothingLeft(loud);
  await loud.close();
});

test('a reader that reads nothing stops the program', async () => {
  const loud = openBackend({
    agentSource: `
import os, sys
written = 0
while True:
    written += os.write(1, b'x' * 65536)
    os.write(2, b'%d\\n' % written)
`,
  });
  const sandbox = await loud.create(programSpec, never());
  sandbox.stdout.pause();
  let said = '';
  sandbox.stderr.on('data', (chunk) => {
    said += chunk;
  });
  await vi.waitUntil(() => sandbox.stdout.readableLength >= sandbox.stdout.readableHighWaterMark, 10_000);
  // Pipes, the engine and we ourselves have buffers: together they are small against what an open tap would bring.
  const cpuMs = async () => (await sandbox.measure())?.cpuMs;
  await vi.waitFor(async () => expect(await cpuMs()).toBe(await cpuMs()), { timeout: 10_000, interval: 10 });
  const written = Number(said.trim().split('\n').at(-1));
  expect(written).toBeLessThan(8 * 1024 * 1024);
  expect(sandbox.stdout.readableLength).toBeLessThan(1024 * 1024);
  await sandbox.destroy();
  await loud.close();
});

test('counters tell of processor time and memory', async () => {
  const working = openBackend({
    agentSource: `
import os, time
block = bytearray(50 * 1024 * 1024)
while time.process_time() < 0.2: pass
os.write(1, b'done')
os.read(0, 1)
`,
  });
  const sandbox = await working.create(programSpec, never());
  await once(sandbox.stdout, 'data');
  const measured = await sandbox.measure();
  expect(measured?.cpuMs).toBeGreaterThanOrEqual(200);
  expect(measured?.cpuMs).toBeLessThan(2000);
  expect(measured?.memoryPeakBytes).toBeGreaterThan(50 * 1024 * 1024);
  expect(measured?.oomKilled).toBe(false);
  await sandbox.destroy();
  await working.close();
});

test('a child killed for memory is reported while the agent lives on', async () => {
  const hungry = openBackend({
    agentSource: `
import os
pid = os.fork()
if pid == 0:
    open('/proc/self/oom_score_adj', 'w').write('1000')
    blocks = [bytearray(16 * 1024 * 1024) for _ in range(64)]
os.write(1, b'%d' % os.waitpid(pid, 0)[1])
os.read(0, 1)
`,
  });
  const sandbox = await hungry.create(programSpec, never());
  const [said] = await once(sandbox.stdout, 'data');
  expect(String(said)).toBe('9');
  await vi.waitFor(async () => expect((await sandbox.measure())?.oomKilled).toBe(true), 10_000);
  await sandbox.destroy();
  await hungry.close();
});

test('an agent killed for memory is reported after the container is gone', async () => {
  const hungry = openBackend({ agentSource: 'blocks = [bytearray(16 * 1024 * 1024) for _ in range(64)]' });
  const sandbox = await hungry.create(programSpec, never());
  await readAll(sandbox);
  expect(await sandbox.measure()).toMatchObject({ oomKilled: true, memoryPeakBytes: programSpec.memoryBytes });
  await vi.waitFor(() => expectNothingLeft(hungry), 10_000);
  expect(await sandbox.measure()).toMatchObject({ oomKilled: true });
  await sandbox.destroy();
  await hungry.close();
});

test('what an earlier instance left is reaped, and nothing else', async () => {
  const gone = openBackend();
  const successor = openBackend({ ownerId: gone.ownerId });
  const stranger = openBackend();
  const left = await gone.create(programSpec, never());
  const mine = await successor.create(programSpec, never());
  const foreign = await stranger.create(programSpec, never());
  try {
    expect(await successor.reap()).toBe(1);
    expect(await containersOf(gone.ownerId)).toEqual([mine.id]);
    expect(await containersOf(stranger.ownerId)).toEqual([foreign.id]);
    expect(await successor.reap()).toBe(0);
  } finally {
    await Promise.all([left.destroy(), mine.destroy(), foreign.destroy()]);
    await Promise.all([gone.close(), successor.close(), stranger.close()]);
  }
});

test('a container of which the engine told too late is reaped', async () => {
  const relay = await relayed();
  const impatient = openBackend({ socket: relay.socket, callTimeoutMs: 300 });
  const release = withResolvers();
  relay.onRequest = (line) => (line.includes('/containers/create') ? release.promise : undefined);
  await expect(impatient.create(programSpec, never())).rejects.toMatchObject({ reason: 'engine_unavailable' });
  await expectNothingLeft(impatient);
  release.resolve();
  await vi.waitFor(async () => expect(await containersOf(impatient.ownerId)).toHaveLength(1), 10_000);
  // Engines list a container before they know it well enough to remove it: then the next reaping finds it.
  await vi.waitFor(async () => {
    await impatient.reap();
    await expectNothingLeft(impatient);
  }, 10_000);
  await impatient.close();
});

test('the container is made from the digest of the image and belongs to its owner', async () => {
  const sandbox = await backend.create(programSpec, never());
  const container = await docker.getContainer(sandbox.id).inspect();
  expect(container.Config.Image).toBe((await docker.getImage(programSpec.image).inspect()).Id);
  expect(container.Config.Labels).toMatchObject({ 'python-executor.owner': backend.ownerId });
  expect(container.Mounts).toEqual([]);
  await sandbox.destroy();
});

test('an agent may be longer than an argument, and a gate may not', async () => {
  const long = openBackend({ agentSource: `note = "${'x'.repeat(128 * 1024)}"\nprint(len(note), __name__)` });
  const sandbox = await long.create(programSpec, never());
  expect(await readAll(sandbox)).toBe('131072 __main__\n');
  await sandbox.destroy();
  await long.close();
  const gate = { image: programSpec.image, source: 'x'.repeat(128 * 1024), deniedAddresses: [] };
  expect(() => openBackend({ gate })).toThrow('131072 bytes');
});

test.each(['host', 'container:abc', ''])(
  'the network %j is refused, because it is not the sandbox’s own',
  (networkMode) => {
    expect(() => openBackend({ networkMode })).toThrow(`Cannot use network ${JSON.stringify(networkMode)}`);
  },
);
