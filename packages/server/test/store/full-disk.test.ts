import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openStore } from './directory.js';
import { finished, newExecution, newJob, output, readable, started } from './samples.js';

/** Mounts a disk of 2 MB, which takes root. */
describe('on a full disk', () => {
  let mount: string;
  let dataDir: string;

  beforeEach(() => {
    mount = mountSmallDisk();
    dataDir = join(mount, 'data');
  });

  afterEach(() => unmount(mount));

  test('inserts are refused with 503 until there is space again, and then work by themselves', async () => {
    const store = await openStore(dataDir);
    try {
      const accepted = newExecution();
      await store.insert(accepted);
      const free = fillUp(mount);

      const refused = newExecution({ job: newJob({ stdin: 'x'.repeat(20_000) }) });
      await expect(store.insert(refused)).rejects.toMatchObject({
        code: 'store_unavailable',
        status: 503,
        retryAfterSeconds: expect.any(Number),
      });
      expect(await store.start(refused.id, started)).toBe(false);
      expect(await store.settle(refused.id, finished())).toBe(false);
      expect(await store.events(refused.id)).toBeUndefined();
      expect(await store.events(accepted.id)).toHaveLength(1);

      free();
      await expect(store.probe()).resolves.toBeUndefined();
      await expect(store.insert(refused)).resolves.toBeUndefined();
      expect(await store.pending()).toHaveLength(2);
    } finally {
      await store.close();
    }
  });

  test('what was accepted goes on, can be read, and is written once there is space again', async () => {
    const store = await openStore(dataDir);
    const execution = newExecution();
    const pieces = Array.from({ length: 20 }, (_, index) => output(`${index}`.repeat(10_000)));
    const expected = [execution.accepted, started, ...pieces, finished()];
    try {
      await store.insert(execution);
      const free = fillUp(mount);
      expect(await store.start(execution.id, started)).toBe(true);
      for (const piece of pieces) store.append(execution.id, piece);
      expect(await store.settle(execution.id, finished())).toBe(true);

      await expect(store.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(store.probe()).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(store.prune('2020-01-01T00:00:00Z')).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(readable(await store.events(execution.id))).toEqual(readable(expected));
      expect(await store.settle(execution.id, finished({ status: 'killed' }))).toBe(false);

      free();
      await vi.waitFor(() => store.flush());
      expect(readable(await store.events(execution.id))).toEqual(readable(expected));
    } finally {
      await store.close();
    }
    const again = await openStore(dataDir);
    expect(await again.orphans()).toEqual([]);
    expect(readable(await again.events(execution.id))).toEqual(readable(expected));
    await again.close();
  });

  test('nobody has to ask for what was kept to be written', async () => {
    const log: string[] = [];
    const store = await openStore(dataDir, log);
    const execution = newExecution();
    try {
      await store.insert(execution);
      const free = fillUp(mount);
      store.append(execution.id, output('x'.repeat(100_000)));
      await expect(store.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
      // Nobody handles the rejection of this one.
      void store.insert(newExecution());
      await vi.waitFor(() => expect(log).toEqual([expect.stringContaining('the store cannot write')]));
      free();
      await vi.waitFor(() => expect(log[1]).toContain('the store can write again'), { timeout: 3_000 });
    } finally {
      await store.close();
    }
    const again = await openStore(dataDir);
    expect(await again.events(execution.id)).toHaveLength(2);
    await again.close();
  });

  test('a store that is closed lets go of its files all the same, and says so', async () => {
    const store = await openStore(dataDir);
    const execution = newExecution();
    await store.insert(execution);
    const free = fillUp(mount);
    store.append(execution.id, output('x'.repeat(100_000)));
    await expect(store.close()).rejects.toMatchObject({ code: 'store_unavailable' });
    free();
    const again = await openStore(dataDir);
    expect(await again.pending()).toHaveLength(1);
    await again.close();
  });

  test('a writer is held back and let go again', async () => {
    const store = await openStore(dataDir);
    const execution = newExecution();
    try {
      await store.insert(execution);
      const piece = Buffer.alloc(1024 * 1024);
      let room: Promise<void> | undefined;
      for (let count = 0; count < 20 && room === undefined; count += 1)
        room = store.append(execution.id, output(piece));
      expect(room).toBeInstanceOf(Promise);
      await expect(store.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
      execFileSync('mount', ['-o', 'remount,size=128m', mount]);
      await room;
      await vi.waitFor(() => store.flush());
    } finally {
      await store.close();
    }
  });
});

function mountSmallDisk(): string {
  const path = mkdtempSync(join(tmpdir(), 'store-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    rmSync(path, { recursive: true });
    throw error;
  }
  return path;
}

function unmount(path: string): void {
  // Lazily: a thread of the store may be a moment from closing its last file.
  execFileSync('umount', ['--lazy', path]);
  rmSync(path, { recursive: true });
}

/** Takes all the space that is left, and returns what gives it back. */
function fillUp(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, 'filler');
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return () => rmSync(path);
}
