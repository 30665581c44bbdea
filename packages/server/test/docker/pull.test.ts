import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { docker, expectNothingLeft, never, openBackend, programSpec } from './fixture.js';
import { openRegistry, type Registry } from './registry.js';
import { openRelay } from './relay.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

let registry: Registry;

beforeAll(async () => {
  registry = await openRegistry();
});

afterAll(async () => {
  await registry.close();
});

function specOf(image: string) {
  return { ...programSpec, image };
}

test('an image that cannot be reached is unavailable, with the reason', async () => {
  const backend = openBackend();
  const creating = backend.create(specOf('127.0.0.1:1/nothing:1'), never());
  await expect(creating).rejects.toMatchObject({
    reason: 'image_unavailable',
    message: expect.stringMatching(/^Cannot start execution: image "127\.0\.0\.1:1\/nothing:1" is not available: \S.*/),
  });
  await expectNothingLeft(backend);
  await backend.close();
});

test('an image that the registry does not have is unavailable', async () => {
  const backend = openBackend();
  const missing = registry.image.replace('tiny', 'missing');
  await expect(backend.create(specOf(missing), never())).rejects.toMatchObject({
    reason: 'image_unavailable',
    message: expect.stringContaining('manifest unknown'),
  });
  await backend.close();
});

test('an invalid name is unavailable without a question to the engine', async () => {
  const relay = await openRelay();
  const backend = openBackend({ socket: relay.socket });
  await expect(backend.create(specOf('-v /:/host'), never())).rejects.toMatchObject({ reason: 'image_unavailable' });
  expect(relay.requests.filter((line) => !line.startsWith('GET /events?'))).toEqual([]);
  await backend.close();
  await relay.close();
});

test('a missing image is pulled once for all who ask for it at the same time', async () => {
  const relay = await openRelay();
  const backend = openBackend({ socket: relay.socket });
  try {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4 }, () => backend.create(specOf(registry.image), never())),
    );
    // It has been pulled: what is wrong with it now is what is in it.
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { message: expect.stringContaining('it has no python3') } });
    }
    expect(relay.requests.filter((line) => line.startsWith('POST /images/create?'))).toHaveLength(1);
    await expect(backend.create(specOf(registry.image), never())).rejects.toThrow('it has no python3');
    expect(relay.requests.filter((line) => line.startsWith('POST /images/create?'))).toHaveLength(1);
    await expectNothingLeft(backend);
  } finally {
    await backend.close();
    await relay.close();
    await docker.getImage(registry.image).remove({ force: true });
  }
});

test('a pull outlives the one who started it and ends at its own time limit', async () => {
  const relay = await openRelay();
  const backend = openBackend({ socket: relay.socket, pullTimeoutMs: 1000 });
  const abort = new AbortController();
  const first = backend.create(specOf(registry.silentImage), abort);
  await vi.waitUntil(() => registry.silentRequests > 0, 10_000);
  const second = backend.create(specOf(registry.silentImage), never());
  abort.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  await expect(second).rejects.toMatchObject({
    reason: 'image_unavailable',
    message: expect.stringContaining('it took longer than 1 s to pull'),
  });
  expect(relay.requests.filter((line) => line.startsWith('POST /images/create?'))).toHaveLength(1);
  await backend.close();
  await relay.close();
});

test('closing ends a pull that is under way', async () => {
  const backend = openBackend();
  const before = registry.silentRequests;
  const creating = backend.create(specOf(registry.silentImage), never());
  await vi.waitUntil(() => registry.silentRequests > before, 10_000);
  await backend.close();
  await expect(creating).rejects.toMatchObject({ reason: 'engine_unavailable' });
});
