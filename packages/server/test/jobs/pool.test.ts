import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReadySandbox, SandboxSpec } from '../../dist/jobs/ports.js';
import { createPool, idleSandboxBytes, type Pool, type PoolOptions } from '../../dist/sandbox/pool/pool.js';
import { jobOf } from './request.js';
import { Source, settled } from './source.js';

const usual = jobOf().spec;
const other = jobOf({ config: { memory_mb: 64 } }).spec;
const third = jobOf({ config: { memory_mb: 32 } }).spec;
const tickMs = 1_000;
const decayMs = 30_000;

let source: Source;
let pool: Pool;
let aheadMs = 0;

beforeEach(() => {
  source = new Source();
  aheadMs = 0;
  const now = performance.now.bind(performance);
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => now() + aheadMs);
});

afterEach(async () => {
  await source.release();
  await pool.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function start(options: Partial<PoolOptions> = {}): Promise<void> {
  pool = createPool({
    source,
    defaultSpec: usual,
    sizeMin: 2,
    sizeMax: 4,
    memoryBytesMax: 1024 * idleSandboxBytes,
    idleMs: 300_000,
    ageMsMax: 3_600_000,
    refillConcurrencyMax: 2,
    refillDelayMs: 0,
    logger: pino({ level: 'silent' }),
    ...options,
  });
  await settled();
}

function acquire(spec: SandboxSpec = usual, signal = new AbortController().signal): Promise<ReadySandbox> {
  return pool.acquire(spec, { signal });
}

/** Takes as many at once, and gives all of them back. */
async function burst(count: number, spec: SandboxSpec = usual): Promise<void> {
  const taken = await Promise.all(Array.from({ length: count }, () => acquire(spec)));
  for (const sandbox of taken) await sandbox.destroy();
  await settled();
}

/** Lets time go by. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += tickMs) {
    aheadMs += tickMs;
    vi.advanceTimersByTime(tickMs);
    await settled();
  }
}

describe('a warm pool', () => {
  test('has its least waiting from the start, and hands out what waits longest', async () => {
    await start();
    expect(pool.stats).toEqual({ ready: 2, making: 0, hits: 0, misses: 0 });
    const first = await acquire();
    expect([first.id, source.made.length]).toEqual(['0', 2]);
    await settled();
    expect(pool.stats).toEqual({ ready: 2, making: 0, hits: 1, misses: 0 });
    expect(source.made).toHaveLength(3);
    await first.destroy();
  });

  test('leaves the processor to a short run, and replaces what it took afterwards', async () => {
    await start({ refillDelayMs: 60_000 });
    const taken = await acquire();
    await settled();
    expect(pool.stats).toMatchObject({ ready: 1, making: 0 });
    await taken.destroy();
    await settled();
    expect(pool.stats).toMatchObject({ ready: 2, making: 0 });
  });

  test('replaces what a long run took while it goes on', async () => {
    await start({ refillDelayMs: 1 });
    await acquire();
    await vi.waitFor(() => expect(pool.stats).toMatchObject({ ready: 2, making: 0 }));
  });

  test('makes one when none of the kind waits', async () => {
    await start();
    const sandbox = await acquire(other);
    expect(source.made.find(({ id }) => id === sandbox.id)?.spec).toEqual(other);
    expect(pool.stats).toMatchObject({ hits: 0, misses: 1 });
  });

  test('keeps what was asked for once for whoever asks next', async () => {
    await start();
    await burst(1, other);
    const made = source.made.length;
    const sandbox = await acquire(other);
    expect(pool.stats).toMatchObject({ hits: 1, misses: 1 });
    expect(Number(sandbox.id)).toBeLessThan(made);
  });

  test('takes two equal specs for one, whatever the order of their fields', async () => {
    await start();
    await acquire(Object.fromEntries(Object.entries(usual).reverse()) as unknown as SandboxSpec);
    expect(pool.stats).toMatchObject({ hits: 1, misses: 0 });
  });

  test('of size 0 makes every sandbox when it is asked for', async () => {
    await start({ sizeMin: 0, sizeMax: 0 });
    await burst(3);
    expect(pool.stats).toEqual({ ready: 0, making: 0, hits: 0, misses: 3 });
    expect(source.made).toHaveLength(3);
    expect(source.left).toEqual([]);
  });

  test('hands nothing out twice, in a burst of ten times its size and twenty times in a row', async () => {
    await start();
    const ids: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const taken = await Promise.all(
        Array.from({ length: 40 }, (_, index) => acquire(index % 3 === 0 ? other : usual)),
      );
      ids.push(...taken.map(({ id }) => id));
      for (const sandbox of taken) void sandbox.destroy();
    }
    expect(new Set(ids).size).toBe(800);
    const { hits, misses } = pool.stats;
    expect(hits + misses).toBe(800);
    await settled();
    expect(pool.stats.ready).toBeLessThanOrEqual(4);
  });

  test('is not held up by a caller that never gives back', async () => {
    await start({ sizeMin: 1, sizeMax: 1 });
    for (let count = 0; count < 10; count += 1) await acquire();
    await settled();
    expect(pool.stats.ready).toBe(1);
  });
});

describe('its size', () => {
  test('follows what is asked for at once, up to the most', async () => {
    await start({ sizeMin: 1, sizeMax: 4 });
    await burst(3);
    expect(pool.stats.ready).toBe(3);
    await burst(10);
    expect(pool.stats.ready).toBe(4);
  });

  test('is bounded by the memory that waiting ones take', async () => {
    await start({ sizeMin: 4, sizeMax: 8, memoryBytesMax: 2 * idleSandboxBytes });
    await burst(8);
    expect(pool.stats.ready).toBe(2);
  });

  test('holds for all kinds together: what was used least recently makes room', async () => {
    await start({ sizeMin: 1, sizeMax: 4 });
    await burst(3, other);
    await burst(3, third);
    expect(pool.stats.ready).toBeLessThanOrEqual(4);
    expect(source.left.map((id) => source.made[Number(id)]?.spec.memoryBytes)).toEqual(
      expect.arrayContaining([usual.memoryBytes, third.memoryBytes, third.memoryBytes, third.memoryBytes]),
    );
  });

  test('shrinks by half every while when less is asked for, and to nothing of what nobody asks for', async () => {
    await start({ sizeMin: 1, sizeMax: 8, idleMs: 45_000 });
    await burst(8, other);
    expect(pool.stats.ready).toBe(8);
    await pass(decayMs);
    expect(source.left).toHaveLength(5);
    await pass(decayMs);
    expect(source.left).toHaveLength(1);
    expect(pool.stats.ready).toBe(1);
  });

  test('never shrinks below its least', async () => {
    await start({ sizeMin: 2, idleMs: 1 });
    await pass(4 * decayMs);
    expect(pool.stats.ready).toBe(2);
    expect(source.made).toHaveLength(2);
  });

  test('is restored by as many at once as may be made behind the foreground', async () => {
    await start({ sizeMin: 6, sizeMax: 6, refillConcurrencyMax: 2 });
    expect(source.made).toHaveLength(6);
    expect(source.makingMost).toBe(2);
  });
});

describe('what waits', () => {
  test('too long is replaced', async () => {
    await start({ ageMsMax: 10_000 });
    await pass(12_000);
    expect([...source.destroyed].sort()).toEqual(['0', '1']);
    expect(source.left).toEqual(['2', '3']);
  });

  test('and is dead is replaced, and never handed out', async () => {
    await start();
    for (const sandbox of source.made) sandbox.alive = false;
    const sandbox = await acquire();
    expect(sandbox.alive).toBe(true);
    await settled();
    expect([...source.destroyed].sort()).toEqual(['0', '1']);
    for (const made of source.made) if (made.id !== sandbox.id) made.alive = false;
    await pass(tickMs);
    expect(source.left.filter((id) => source.made[Number(id)]?.alive)).toHaveLength(3);
  });
});

describe('a caller', () => {
  test('that waits is served by the first sandbox that is made, whoever it was made for', async () => {
    source.hold();
    await start({ sizeMin: 1 });
    const waiting = acquire();
    await source.release();
    expect((await waiting).id).toBe('0');
    expect(pool.stats).toMatchObject({ hits: 0, misses: 1 });
  });

  test('that goes away while it waits gets the reason, and leaves its sandbox to others', async () => {
    source.hold();
    await start({ sizeMin: 0 });
    const controller = new AbortController();
    const gone = acquire(usual, controller.signal);
    const stays = acquire();
    const reason = new Error('gone');
    controller.abort(reason);
    await expect(gone).rejects.toBe(reason);
    await source.release();
    expect((await stays).id).toBe('0');
    await (await stays).destroy();
    await settled();
    expect(source.left).toHaveLength(pool.stats.ready);
  });

  test('that is gone before it asks gets nothing', async () => {
    await start();
    const reason = new Error('gone');
    await expect(acquire(usual, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(pool.stats).toMatchObject({ ready: 2, hits: 0, misses: 0 });
  });

  test('gets the failure when its sandbox cannot be made, and the next a sandbox when it can again', async () => {
    source.failure = new Error('no engine');
    await start();
    await expect(acquire()).rejects.toBe(source.failure);
    source.failure = undefined;
    const sandbox = await acquire();
    expect(sandbox.alive).toBe(true);
  });

  test('gets the failure of its own kind alone', async () => {
    await start({ sizeMin: 0 });
    source.failure = new Error('no such image');
    const failing = acquire(other);
    const results = await Promise.allSettled([failing, failing, acquire(other)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    source.failure = undefined;
    expect((await acquire()).alive).toBe(true);
  });
});

test('after a failure the refill rests, and comes back by itself', async () => {
  source.failure = new Error('no engine');
  await start();
  const tried = source.makingMost;
  const attempts = vi.spyOn(source, 'acquire');
  await pass(3_000);
  expect(attempts).not.toHaveBeenCalled();
  source.failure = undefined;
  await pass(4_000);
  expect(pool.stats.ready).toBe(2);
  expect(tried).toBeLessThanOrEqual(2);
});

describe('closing', () => {
  test('leaves nothing that waits, nor anything that was being made', async () => {
    await start();
    source.hold();
    await acquire();
    await settled();
    expect(source.making).toBeGreaterThan(0);
    const closed = pool.close();
    await source.release();
    await closed;
    // The one that was taken is its taker's.
    expect(source.left).toEqual(['0']);
  });

  test('twice is the same as once', async () => {
    await start();
    await Promise.all([pool.close(), pool.close()]);
    await pool.close();
    expect(source.left).toEqual([]);
  });

  test('refuses whoever still waits or asks, and makes nothing more', async () => {
    source.hold();
    await start({ sizeMin: 0 });
    const waiting = acquire();
    waiting.catch(() => {});
    const closed = pool.close();
    await source.release();
    await closed;
    await expect(waiting).rejects.toThrow('The pool is closed');
    await expect(acquire()).rejects.toThrow('The pool is closed');
    await pass(3_000);
    expect(source.made).toEqual([]);
  });
});

test('reports hits with their age, misses, and how long making took', async () => {
  const seen: string[] = [];
  await start({
    sizeMin: 1,
    observer: {
      onHit: (ageMs) => seen.push(`hit ${ageMs >= 5_000}`),
      onMiss: () => seen.push('miss'),
      onMade: (makingMs) => seen.push(`made ${makingMs >= 0}`),
    },
  });
  await pass(5_000);
  await acquire();
  await acquire();
  expect(seen.slice(0, 4)).toEqual(['made true', 'hit true', 'miss', 'made true']);
});
