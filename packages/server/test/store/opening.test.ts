import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import { openStore, withDataDir } from './directory.js';
import { finished, newExecution, output } from './samples.js';

describe('a data directory in use', () => {
  test('is refused, and stays with its owner until that one closes it', async () => {
    await withDataDir(async (dataDir) => {
      const first = await openStore(dataDir);
      await expect(openStore(dataDir)).rejects.toMatchObject({
        code: 'store_unavailable',
        message: `Cannot open the store: data directory "${dataDir}" is in use by another python-executor`,
      });
      await first.insert(newExecution());
      await first.close();
      const second = await openStore(dataDir);
      expect(await second.pending()).toHaveLength(1);
      await second.close();
    });
  });

  test('goes to one of two servers that make it at the same time', async () => {
    await withDataDir(async (dataDir) => {
      const results = await Promise.allSettled([openStore(dataDir), openStore(dataDir), openStore(dataDir)]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
      for (const result of results) {
        if (result.status === 'fulfilled') await result.value.close();
        else expect(result.reason.message).toContain('is in use');
      }
    });
  });
});

describe('a database that cannot be trusted is refused by name and left as it is', () => {
  const damages: Record<string, (file: string) => Promise<void>> = {
    'with a header that is overwritten': (file) => overwrite(file, 0, 100),
    'with a first page that is overwritten': (file) => overwrite(file, 100, 3_996),
    'with a page in the middle that is overwritten': (file) => overwrite(file, 5 * 4_096, 4_096),
    'cut to a half': (file) => truncate(file, 40 * 4_096),
    'cut to nothing': (file) => truncate(file, 0),
    'that is no database': (file) =>
      writeFile(file, 'not a database, but something long enough to be one\n'.repeat(100)),
  };

  test.for(Object.entries(damages))('%s', async ([, damage]) => {
    await withDataDir(async (dataDir) => {
      const file = await fill(dataDir);
      await damage(file);
      const before = await digest(file);
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const message = await refusal(dataDir);
        expect(message).toContain(`"${file}" is corrupt`);
        expect(await digest(file)).toBe(before);
      }
    });
  });

  test('written by a newer version', async () => {
    await withDataDir(async (dataDir) => {
      const file = await fill(dataDir);
      const database = new Database(file);
      database.exec('PRAGMA user_version = 999');
      database.close();
      const before = await digest(file);
      expect(await refusal(dataDir)).toContain(`"${file}" was written by a newer python-executor`);
      expect(await digest(file)).toBe(before);
    });
  });

  test('that left its write-ahead log behind', async () => {
    await withDataDir(async (dataDir) => {
      const file = await fill(dataDir);
      await copyFile(file, `${file}-wal`);
      await rm(file);
      expect(await refusal(dataDir)).toContain(`"${file}-wal" is there without it`);
    });
  });
});

test('a data directory that cannot be made is refused by name', async () => {
  await withDataDir(async (dataDir) => {
    await mkdir(join(dataDir, '..'), { recursive: true });
    await writeFile(dataDir, 'a file is in the way');
    expect(await refusal(dataDir)).toContain(join(dataDir, 'executions.db'));
  });
});

/** Makes a store of a good many pages, and returns its file. */
async function fill(dataDir: string): Promise<string> {
  const store = await openStore(dataDir);
  for (let count = 0; count < 50; count += 1) {
    const execution = newExecution();
    void store.insert(execution);
    store.append(execution.id, output('x'.repeat(10_000)));
    void store.settle(execution.id, finished());
  }
  await store.close();
  return join(dataDir, 'executions.db');
}

async function refusal(dataDir: string): Promise<string> {
  const error = await openStore(dataDir).then(
    () => new Error('the store was opened'),
    (reason: Error) => reason,
  );
  return error.message;
}

async function overwrite(file: string, position: number, length: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.write(Buffer.alloc(length, 0xa5), 0, length, position);
  } finally {
    await handle.close();
  }
}

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
