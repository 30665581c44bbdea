import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { foldEvents } from '@python-executor/contract';
import { describe, expect, test } from 'vitest';
import { archiveInFile } from '../../dist/archive/stored.js';
import type { Archive, ExecutionStore } from '../../dist/jobs/ports.js';
import { openStore, withDataDir } from './directory.js';
import { files, finished, newExecution, output, started } from './samples.js';

const child = fileURLToPath(new URL('./insert-until-killed.mjs', import.meta.url));

/** Starts a process that inserts, kills it after so many were acknowledged, and returns their ids. */
async function insertUntilKilled(dataDir: string, prefix: string, count: number): Promise<readonly string[]> {
  const inserting = spawn(process.execPath, [child, dataDir, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(inserting, 'exit');
  const ids: string[] = [];
  try {
    for await (const line of createInterface(inserting.stdout)) {
      ids.push(line);
      if (ids.length === count) inserting.kill('SIGKILL');
    }
  } finally {
    inserting.kill('SIGKILL');
    await exited;
  }
  return ids;
}

describe('after kill -9', () => {
  test('every execution that was acknowledged is there, and a new server can take over at once', async () => {
    await withDataDir(async (dataDir) => {
      const ids: string[] = [];
      for (const round of ['first', 'second']) {
        ids.push(...(await insertUntilKilled(dataDir, round, 200)));
        const store = await openStore(dataDir);
        try {
          const pending = new Set((await store.pending()).map(({ job }) => job.executionId));
          const orphans = new Set(await store.orphans());
          for (const id of ids) {
            const events = await store.events(id);
            const status = events && foldEvents(id, events).status;
            const expected = pending.has(id) ? 'pending' : orphans.has(id) ? 'running' : 'completed';
            expect({ id, status }).toEqual({ id, status: expected });
          }
        } finally {
          await store.close();
        }
      }
      expect(ids.length).toBeGreaterThanOrEqual(400);
    });
  }, 30_000);
});

describe('after a restart', () => {
  test('what a caller waited for is an orphan although it never started', async () => {
    await withDataDir(async (dataDir) => {
      const id = await leaveBehind(dataDir, async (store) => {
        const execution = newExecution({ delivery: 'sync' });
        await store.insert(execution);
        return execution.id;
      });

      const store = await openStore(dataDir);
      expect(await store.pending()).toEqual([]);
      expect(await store.orphans()).toEqual([id]);
      await store.close();
    });
  });

  test('what was running is an orphan until it is settled', async () => {
    await withDataDir(async (dataDir) => {
      const id = await leaveBehind(dataDir, async (store) => {
        const execution = newExecution();
        await store.insert(execution);
        await store.start(execution.id, started);
        store.append(execution.id, output('so far'));
        return execution.id;
      });

      const store = await openStore(dataDir);
      expect(await store.pending()).toEqual([]);
      expect(await store.orphans()).toEqual([id]);
      store.append(id, output(' and on'));
      expect(await store.settle(id, finished({ status: 'failed' }))).toBe(true);
      expect(await store.orphans()).toEqual([]);
      await store.close();

      const again = await openStore(dataDir);
      expect(await again.orphans()).toEqual([]);
      const result = foldEvents(id, (await again.events(id)) ?? []);
      expect(result).toMatchObject({ status: 'failed', stdout: 'so far and on' });
      await again.close();
    });
  });

  test('a job that waits brings its spool file along, and other spool files are removed', async () => {
    await withDataDir(async (dataDir) => {
      const spoolDir = join(dataDir, 'spool');
      const names = ['waiting.tar', 'running.tar', 'cut.tar', 'gone.tar'];
      const ids = await leaveBehind(dataDir, async (store) => {
        for (const name of names) await writeFile(join(spoolDir, name), 'a large tar');
        const executions = names.map((name) =>
          newExecution({ archive: archiveInFile(join(spoolDir, name), 'a large tar'.length, files) }),
        );
        for (const execution of executions) await store.insert(execution);
        await store.start(executions[1]?.id ?? '', started);
        return executions.map(({ id }) => id);
      });
      await writeFile(join(spoolDir, 'cut.tar'), 'a lar');
      await rm(join(spoolDir, 'gone.tar'));
      await writeFile(join(spoolDir, 'left over.tar'), 'never recorded');

      const store = await openStore(dataDir);
      const pending = await store.pending();
      expect(pending.map(({ job }) => job.executionId)).toEqual([ids[0]]);
      const archive = pending[0]?.archive as Archive;
      expect(archive).toMatchObject({ sizeBytes: 11, files, path: join(spoolDir, 'waiting.tar') });
      expect(String(await buffer(archive.open()))).toBe('a large tar');
      expect(await store.orphans()).toEqual(ids.slice(1));
      expect(await readdir(spoolDir)).toEqual(['waiting.tar']);
      await store.close();
    });
  });

  test('nothing of the code and the secrets of an execution that ended is in the records', async () => {
    await withDataDir(async (dataDir) => {
      await leaveBehind(dataDir, async (store) => {
        const execution = newExecution();
        await store.insert(execution);
        await store.settle(execution.id, finished());
      });
      const database = await readFile(join(dataDir, 'executions.db'), 'latin1');
      expect(database).toContain('stderr was cut');
      expect(database).not.toContain('secret-of-the-client');
      expect(database).not.toContain('a canonical tar');
    });
  });

  test('a closed store is one file that only its owner may read', async () => {
    await withDataDir(async (dataDir) => {
      await leaveBehind(dataDir, (store) => store.insert(newExecution()));
      expect((await readdir(dataDir)).sort()).toEqual(['executions.db', 'spool']);
      expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
      expect((await stat(join(dataDir, 'spool'))).mode & 0o777).toBe(0o700);
      expect((await stat(join(dataDir, 'executions.db'))).mode & 0o777).toBe(0o600);
    });
  });

  /** Lets a first server do something, and returns what that returned. */
  async function leaveBehind<Result>(
    dataDir: string,
    body: (store: ExecutionStore) => Promise<Result>,
  ): Promise<Result> {
    const store = await openStore(dataDir);
    try {
      return await body(store);
    } finally {
      await store.close();
    }
  }
});

test('an insert is refused when its spool file cannot be made durable', async () => {
  await withDataDir(async (dataDir) => {
    const store = await openStore(dataDir);
    try {
      const archive = archiveInFile(join(dataDir, 'spool', 'missing.tar'), 10, files);
      const execution = newExecution({ archive });
      await expect(store.insert(execution)).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await store.settle(execution.id, finished())).toBe(false);
      await store.flush();
      expect(await store.events(execution.id)).toBeUndefined();
      expect(await store.pending()).toEqual([]);
    } finally {
      await store.close();
    }
  });
});
