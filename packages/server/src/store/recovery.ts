import type { Database } from 'libsql';
import type { Places } from './database.js';
import { notResumed, type UnfinishedExecution } from './messages.js';
import { select, selectNumber } from './query.js';
import { archiveOf } from './reading.js';
import { isComplete, sweepSpool } from './spool.js';

/** What an earlier server has left. */
export interface Recovered {
  /** Greater than the key of any execution. */
  readonly nextKey: number;
  readonly unfinished: readonly UnfinishedExecution[];
}

/** Finds the executions that were not over, and removes spool files that none of them needs. */
export function recover(database: Database, { root, spoolDir }: Places): Recovered {
  const rows = select(
    database,
    `SELECT key, id, status, job = '${notResumed}', archive_path, archive_bytes, archive_files,
       (SELECT coalesce(max(seq) + 1, 0) FROM output WHERE output.execution = key)
     FROM jobs JOIN executions ON key = jobs.execution ORDER BY key`,
  ) as [number, string, string, number, string | null, number, string, number][];
  const needed = new Set<string>();
  const unfinished = rows.map(
    ([key, id, status, isNotResumed, path, sizeBytes, files, outputCount]): UnfinishedExecution => {
      const archive = archiveOf(root, path, sizeBytes, files);
      if (status !== 'pending' || isNotResumed === 1 || !isComplete(archive))
        return { key, id, state: 'orphan', outputCount };
      if (archive.path !== undefined) needed.add(archive.path);
      return { key, id, state: 'pending', outputCount };
    },
  );
  if (spoolDir !== undefined) sweepSpool(spoolDir, needed);
  return { nextKey: selectNumber(database, 'SELECT coalesce(max(key), 0) + 1 FROM executions'), unfinished };
}
