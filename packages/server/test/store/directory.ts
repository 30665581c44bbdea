import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { archiveInFile, archiveInMemory } from '../../dist/archive/stored.js';
import type { ExecutionStore } from '../../dist/jobs/ports.js';
import { openSqliteStore } from '../../dist/store/sqlite.js';

/** @param log takes a line for each message of the store */
export function openStore(dataDir: string, log: string[] = []): Promise<ExecutionStore> {
  const logger = pino({ level: 'debug' }, { write: (line) => log.push(line) });
  return openSqliteStore({ dataDir, logger, archiveInMemory, archiveInFile });
}

/** Runs `body` with the path of a directory that does not exist yet, and removes it afterwards. */
export async function withDataDir<Result>(body: (dataDir: string) => Promise<Result>): Promise<Result> {
  const parent = await mkdtemp(join(tmpdir(), 'store-'));
  try {
    return await body(join(parent, 'data'));
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}
