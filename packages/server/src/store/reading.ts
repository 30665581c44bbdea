import { resolve } from 'node:path';
import type { ExecutionEvent, OutputEvent } from '@python-executor/contract';
import type { Database, Statement } from 'libsql';
import { type ArchiveRecord, notResumed, type PendingRecord } from './messages.js';

/** Reads what {@link Writer} has written. */
export class Reader {
  readonly #execution: Statement;
  readonly #output: Statement;
  readonly #pending: Statement;

  constructor(
    database: Database,
    private readonly root: string,
  ) {
    this.#execution = database.prepare('SELECT key, accepted, started_at, finished FROM executions WHERE id = ?').raw();
    this.#output = database.prepare('SELECT stream, bytes FROM output WHERE execution = ? ORDER BY seq').raw();
    this.#pending = database
      .prepare(
        `SELECT id, job, archive, archive_path, archive_bytes, archive_files
         FROM jobs JOIN executions ON key = execution WHERE status = 'pending' AND job <> '${notResumed}' ORDER BY key`,
      )
      .raw();
  }

  events(executionId: string): readonly ExecutionEvent[] | undefined {
    const [row] = this.#execution.all([executionId]) as [number, string, string | null, string | null][];
    if (row === undefined) return undefined;
    const [key, accepted, startedAt, finished] = row;
    const output = this.#output.all([key]) as [OutputEvent['stream'], Uint8Array][];
    return [
      JSON.parse(accepted),
      ...(startedAt === null ? [] : [{ type: 'started', at: startedAt } as const]),
      ...output.map(([stream, bytes]) => ({ type: 'output', stream, bytes }) as const),
      ...(finished === null ? [] : [JSON.parse(finished)]),
    ];
  }

  pending(): readonly PendingRecord[] {
    const rows = this.#pending.all([]) as [string, string, Uint8Array | null, string | null, number, string][];
    return rows.map(([id, job, bytes, path, sizeBytes, files]) => ({
      id,
      job: JSON.parse(job),
      archive: archiveOf(this.root, path, sizeBytes, files),
      bytes: bytes ?? undefined,
    }));
  }
}

export function archiveOf(root: string, path: string | null, sizeBytes: number, files: string): ArchiveRecord {
  return { path: path === null ? undefined : resolve(root, path), sizeBytes, files: JSON.parse(files) };
}
