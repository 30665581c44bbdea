import {
  type ExecutionEvent,
  type FinishedEvent,
  type OutputEvent,
  quote,
  ServiceError,
  type StartedEvent,
} from '@python-executor/contract';
import type { Logger } from 'pino';
import type { Archive, ExecutionStore, Job, NewExecution, PendingExecution } from '../jobs/ports.js';
import { Journal } from './journal.js';
import { LiveExecution } from './live.js';
import type { Opening, PendingRecord } from './messages.js';
import { StoreThread } from './thread.js';

export interface SqliteStoreOptions {
  /** Directory of the database and the spool; made when it is not there. `:memory:` keeps nothing. */
  readonly dataDir: string;
  readonly logger: Pick<Logger, 'info' | 'error'>;
  /** Makes an archive of the bytes of its canonical tar. */
  readonly archiveInMemory: (bytes: Uint8Array, files: readonly string[]) => Archive;
  /** Makes an archive of the file that its canonical tar lies in. */
  readonly archiveInFile: (path: string, sizeBytes: number, files: readonly string[]) => Archive;
}

/** How many executions are removed at once, so that other writes need not wait for long. */
const prunedCountMax = 10;

/**
 * Opens the store of a data directory, and holds the directory alone until it is closed or the process ends. Spool files
 * that belong to no pending execution are removed.
 *
 * @throws ServiceError `store_unavailable` that names the file when the database is in use, corrupt, written by a newer
 * version or cannot be opened. Nothing in it is changed then, but that SQLite moves what is in its write-ahead log.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<ExecutionStore> {
  const { thread, opened } = await StoreThread.start({ dataDir: options.dataDir });
  return new SqliteStore(thread, opened, options);
}

class SqliteStore implements ExecutionStore {
  readonly #journal: Journal;
  /** Executions that are not over, or whose end is not written yet. */
  readonly #live = new Map<string, LiveExecution>();
  readonly #orphans: readonly LiveExecution[];
  #nextKey: number;
  #closing: Promise<void> | undefined;

  constructor(
    private readonly thread: StoreThread,
    opened: Extract<Opening, { type: 'opened' }>,
    private readonly options: SqliteStoreOptions,
  ) {
    this.#journal = new Journal(thread, opened.file, options.logger);
    this.#nextKey = opened.nextKey;
    for (const { id, key, outputCount } of opened.unfinished) {
      this.#live.set(id, new LiveExecution(id, key, outputCount));
    }
    const orphanIds = opened.unfinished.filter(({ state }) => state === 'orphan').map(({ id }) => id);
    this.#orphans = orphanIds.map((id) => this.#live.get(id) as LiveExecution);
    for (const orphan of this.#orphans) orphan.start();
  }

  insert(execution: NewExecution): Promise<void> {
    const recorded = this.#insert(execution);
    // Whoever does not wait is told by start() and settle().
    recorded.catch(() => {});
    return recorded;
  }

  async start(executionId: string, { at }: StartedEvent): Promise<boolean> {
    const execution = this.#live.get(executionId);
    if (!execution?.start()) return false;
    const event = { type: 'started', at } as const;
    this.#journal.add({ operation: { kind: 'start', key: execution.key, at }, execution, event });
    return true;
  }

  append(executionId: string, event: OutputEvent): Promise<void> | undefined {
    const execution = this.#live.get(executionId);
    const seq = execution?.nextOutput();
    if (execution === undefined || seq === undefined) return undefined;
    const { stream, bytes } = event;
    this.#journal.add({ operation: { kind: 'append', key: execution.key, seq, stream, bytes }, execution, event });
    return this.#journal.roomForMore();
  }

  async settle(executionId: string, event: FinishedEvent): Promise<boolean> {
    const execution = this.#live.get(executionId);
    if (!execution?.end()) return false;
    this.#journal.add({
      operation: { kind: 'settle', key: execution.key, finished: event },
      execution,
      event,
      onWritten: () => this.#live.delete(executionId),
    });
    return true;
  }

  events(executionId: string): Promise<readonly ExecutionEvent[] | undefined> {
    return this.thread.request('events', executionId, (stored) => {
      const execution = this.#live.get(executionId);
      // What is not written now was not written either when the thread read.
      const unwritten = execution === undefined ? [] : this.#journal.unwrittenEvents(execution);
      return stored === undefined && unwritten.length === 0 ? undefined : [...(stored ?? []), ...unwritten];
    });
  }

  async pending(): Promise<readonly PendingExecution[]> {
    await this.flush();
    const records = await this.thread.request('pending', undefined, (answer) => answer);
    return records
      .filter(({ id }) => this.#live.get(id)?.waits)
      .map((record) => ({ job: record.job, archive: this.#archiveOf(record) }));
  }

  async orphans(): Promise<readonly string[]> {
    return this.#orphans.filter((execution) => !execution.over).map(({ id }) => id);
  }

  async prune(before: string): Promise<number> {
    let total = 0;
    for (;;) {
      const count = await this.#journal.carryOut({ kind: 'prune', before, countMax: prunedCountMax });
      total += count;
      if (count < prunedCountMax) return total;
    }
  }

  async probe(): Promise<void> {
    await this.#journal.carryOut({ kind: 'probe' });
  }

  async flush(): Promise<void> {
    await this.#journal.carryOut({ kind: 'flush' });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #insert({ delivery, job, archive, accepted }: NewExecution): Promise<void> {
    const id = job.executionId;
    if (this.#live.has(id)) {
      throw new ServiceError('internal', `Cannot record execution ${quote(id)}: it is there already`);
    }
    const execution = new LiveExecution(id, this.#nextKey++, 0);
    this.#live.set(id, execution);
    const pending = delivery === 'async' ? pendingRecordOf(job, archive) : undefined;
    const recorded = new Promise<void>((resolve, reject) => {
      this.#journal.add({
        operation: { kind: 'insert', key: execution.key, executionId: id, accepted, pending },
        execution,
        event: accepted,
        onWritten: () => resolve(),
        onRefused: (error) => {
          this.#forget(execution);
          reject(error);
        },
      });
    });
    const isInFile = pending?.archive.path !== undefined;
    await (isInFile ? Promise.all([recorded, this.#persist(archive, execution)]) : recorded);
  }

  async #persist(archive: Archive, execution: LiveExecution): Promise<void> {
    try {
      await archive.persist();
    } catch (error) {
      // Once it has started, no later server will need its archive.
      if (!execution.waits) return;
      this.#forget(execution);
      this.#journal.add({ operation: { kind: 'forget', key: execution.key } });
      throw error;
    }
  }

  #forget(execution: LiveExecution): void {
    execution.forget();
    this.#live.delete(execution.id);
  }

  #archiveOf({ archive, bytes }: PendingRecord): Archive {
    const { path, sizeBytes, files } = archive;
    if (path !== undefined) return this.options.archiveInFile(path, sizeBytes, files);
    return this.options.archiveInMemory(bytes ?? new Uint8Array(), files);
  }

  async #close(): Promise<void> {
    try {
      while (this.#journal.unwrittenCount > 0) await this.flush();
    } catch (error) {
      const { unwrittenCount } = this.#journal;
      this.options.logger.error(
        { err: error, unwrittenCount },
        'the store is closed with writes that never reached it',
      );
      throw error;
    } finally {
      this.#journal.close();
      await this.thread.close();
    }
  }
}

function pendingRecordOf(job: Job, { bytes, path, sizeBytes, files }: Archive): PendingRecord {
  return { id: job.executionId, job, archive: { path, sizeBytes, files }, bytes };
}
