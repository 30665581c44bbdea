import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { never, openBackend, programSpec } from './fixture.js';

const absent = { socket: join(tmpdir(), `${randomUUID()}.sock`) };

test('an engine that is there can be used', async () => {
  const backend = openBackend();
  await backend.probe(never());
  await backend.close();
});

describe('an engine that is not there', () => {
  test.each(['create', 'probe', 'reap'] as const)('is reported by %s', async (operation) => {
    const backend = openBackend(absent);
    const attempts = {
      create: () => backend.create(programSpec, never()),
      probe: () => backend.probe(never()),
      reap: () => backend.reap(),
    };
    await expect(attempts[operation]()).rejects.toMatchObject({
      reason: 'engine_unavailable',
      message: expect.stringContaining('ENOENT'),
    });
    await backend.close();
  });

  test('is reported when it is a port that refuses', async () => {
    const backend = openBackend({ socket: 'tcp://127.0.0.1:1' });
    await expect(backend.probe(never())).rejects.toMatchObject({ reason: 'engine_unavailable' });
    await backend.close();
  });
});

describe('an engine that accepts and never answers', () => {
  async function openFrozen() {
    const socket = join(tmpdir(), `frozen-${randomUUID()}.sock`);
    const server = createServer((client) => client.on('error', () => {}).resume());
    server.listen(socket);
    await once(server, 'listening');
    return { socket, close: () => server.close() };
  }

  test('is found out by the probe within its time limit', async () => {
    const frozen = await openFrozen();
    const backend = openBackend(frozen);
    const started = performance.now();
    await expect(backend.probe(never())).rejects.toMatchObject({ reason: 'engine_unavailable' });
    expect(performance.now() - started).toBeLessThan(3000);
    await backend.close();
    frozen.close();
  });

  test('fails every call at its deadline', async () => {
    const frozen = await openFrozen();
    const backend = openBackend({ ...frozen, callTimeoutMs: 200 });
    await expect(backend.create(programSpec, never())).rejects.toMatchObject({ reason: 'engine_unavailable' });
    await expect(backend.reap()).rejects.toMatchObject({ reason: 'engine_unavailable' });
    await backend.close();
    frozen.close();
  });

  test('does not keep an abort waiting', async () => {
    const frozen = await openFrozen();
    const backend = openBackend(frozen);
    const abort = new AbortController();
    const creating = backend.create(programSpec, abort);
    abort.abort(new Error('enough'));
    await expect(creating).rejects.toThrow('enough');
    await backend.close();
    frozen.close();
  });
});

test('an address that is none is refused', () => {
  expect(() => openBackend({ socket: 'ssh://somewhere' })).toThrow('"ssh://somewhere"');
});
