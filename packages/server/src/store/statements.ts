import { relative } from 'node:path';
import type { Database, Statement } from 'libsql';
import { notResumed, type Operation } from './messages.js';
import { selectNumber } from './query.js';

/** A database that is mostly free pages gives this many of them back with each pruning. */
const vacuumedPagesMax = 2_000;

/** What each operation does to the tables. */
export class Statements {
  readonly #insertExecution: Statement;
  readonly #insertJob: Statement;
  readonly #start: Statement;
  readonly #append: Statement;
  readonly #settle: Statement;
  readonly #deleteJob: Statement;
  readonly #forget: Statement;
  readonly #prune: Statement;
  readonly #probe: string;

  /** @param root what paths of archives are recorded relative to */
  constructor(
    private readonly database: Database,
    private readonly root: string,
  ) {
    this.#insertExecution = database.prepare(
      "INSERT INTO executions (key, id, status, created_at, accepted) VALUES (?, ?, 'pending', ?, ?)",
    );
    this.#insertJob = database.prepare(
      'INSERT INTO jobs (execution, job, archive, archive_path, archive_bytes, archive_files) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#start = database.prepare(
      "UPDATE executions SET status = 'running', started_at = ? WHERE key = ? AND status = 'pending'",
    );
    this.#append = database.prepare('INSERT INTO output (execution, seq, stream, bytes) VALUES (?, ?, ?, ?)');
    this.#settle = database.prepare(
      'UPDATE executions SET status = ?, finished_at = ?, finished = ? WHERE key = ? AND finished_at IS NULL',
    );
    this.#deleteJob = database.prepare('DELETE FROM jobs WHERE execution = ?');
    this.#forget = database.prepare('DELETE FROM executions WHERE key = ?');
    this.#prune = database.prepare(
      'DELETE FROM executions WHERE key IN (SELECT key FROM executions WHERE finished_at < ? LIMIT ?)',
    );
    // Writes the page that holds the version.
    this.#probe = `PRAGMA user_version = ${selectNumber(database, 'PRAGMA user_version')}`;
  }

  /** Returns how many executions changed. */
  run(operation: Operation): number {
    switch (operation.kind) {
      case 'insert':
        return this.#runInsert(operation);
      case 'start':
        return changesOf(this.#start, [operation.at, operation.key]);
      case 'append':
        return changesOf(this.#append, [operation.key, operation.seq, operation.stream, operation.bytes]);
      case 'settle': {
        const { key, finished } = operation;
        changesOf(this.#deleteJob, [key]);
        return changesOf(this.#settle, [finished.status, finished.at, JSON.stringify(finished), key]);
      }
      case 'forget':
        return changesOf(this.#forget, [operation.key]);
      case 'prune':
        return this.#runPrune(operation.before, operation.countMax);
      case 'probe':
        this.database.exec(this.#probe);
        return 0;
      case 'flush':
        return 0;
    }
  }

  #runInsert({ key, executionId, accepted, pending }: Extract<Operation, { kind: 'insert' }>): number {
    changesOf(this.#insertExecution, [key, executionId, accepted.at, JSON.stringify(accepted)]);
    if (pending === undefined) return changesOf(this.#insertJob, [key, notResumed, null, null, 0, '[]']);
    const { job, archive, bytes } = pending;
    const { path, sizeBytes, files } = archive;
    const storedPath = path === undefined ? null : relative(this.root, path);
    const archiveColumns = [bytes ?? null, storedPath, sizeBytes, JSON.stringify(files)];
    return changesOf(this.#insertJob, [key, JSON.stringify(job), ...archiveColumns]);
  }

  #runPrune(before: string, countMax: number): number {
    const count = changesOf(this.#prune, [before, countMax]);
    const freePages = selectNumber(this.database, 'PRAGMA freelist_count');
    if (freePages > vacuumedPagesMax && freePages * 2 > selectNumber(this.database, 'PRAGMA page_count')) {
      this.database.exec(`PRAGMA incremental_vacuum(${vacuumedPagesMax})`);
    }
    return count;
  }
}

/** The parameters go as an array, because the driver takes a single object, bytes too, for named parameters. */
function changesOf(statement: Statement, parameters: readonly unknown[]): number {
  return statement.run(parameters).changes;
}
