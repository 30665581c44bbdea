import { type ExecutionEvent, ServiceError } from '@python-executor/contract';
import type { Logger } from 'pino';
import type { LiveExecution } from './live.js';
import type { Fault, Operation, Written } from './messages.js';
import { packBytes } from './packing.js';
import { rejected } from './refusals.js';
import type { StoreThread } from './thread.js';

/** An operation on its way to the disk. */
export interface Write {
  readonly operation: Operation;
  /** Whose operation it is, and what it adds to the events of that execution. */
  readonly execution?: LiveExecution;
  readonly event?: ExecutionEvent;
  readonly onWritten?: (changes: number) => void;
  /**
   * Someone waits for the write: it is sent at once, and when it fails it is refused. Others are sent a little later, and
   * kept until they succeed.
   */
  readonly onRefused?: (error: ServiceError) => void;
}

/** How long a write that nobody waits for may wait for others to share its transaction. */
const lingerMs = 5;

const batchWritesMax = 1_000;
const batchBytesMax = 4 * 1024 * 1024;

const spareBytesMin = 64 * 1024;

/** Above this much that is not written yet, whoever appends should wait. */
const bufferedBytesMax = 16 * 1024 * 1024;

/** What a write takes in memory besides its bytes. */
const writeBytes = 256;

const retryDelayMs = { first: 100, most: 2_000 } as const;

/**
 * Takes writes in order and sends them to the disk in groups: one transaction is under way at a time, and the next takes
 * all that have come meanwhile. While the disk fails, writes of accepted executions are kept and tried again.
 */
export class Journal {
  #queue: Write[] = [];
  #sent: readonly Write[] = [];
  #bufferedBytes = 0;
  /** What the bytes of the next batch are copied into. */
  #spare = new ArrayBuffer(spareBytesMin);
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #room: Promise<void> | undefined;
  #onRoom: () => void = () => {};
  #closed = false;

  constructor(
    private readonly thread: StoreThread,
    private readonly file: string,
    private readonly logger: Pick<Logger, 'info' | 'error'>,
  ) {}

  /** How many writes are not durable yet. */
  get unwrittenCount(): number {
    return this.#sent.length + this.#queue.length;
  }

  /** Events that are not in the database yet, in order. */
  unwrittenEvents(execution: LiveExecution): readonly ExecutionEvent[] {
    const events: ExecutionEvent[] = [];
    for (const writes of [this.#sent, this.#queue]) {
      for (const write of writes) if (write.execution === execution && write.event) events.push(write.event);
    }
    return events;
  }

  add(write: Write): void {
    if (this.#closed) {
      write.onRefused?.(new ServiceError('shutting_down', 'Cannot record anything more: the store is closed'));
      return;
    }
    this.#queue.push(write);
    this.#bufferedBytes += sizeOf(write);
    if (write.onRefused !== undefined || (this.#failures === 0 && this.#bufferedBytes > batchBytesMax)) this.#send();
    else this.#sendIn(lingerMs);
  }

  /** Adds an operation that someone waits for. */
  carryOut(operation: Operation): Promise<number> {
    return new Promise((onWritten, onRefused) => this.add({ operation, onWritten, onRefused }));
  }

  /** Resolves when there is room for more; undefined when there is. Never rejects. */
  roomForMore(): Promise<void> | undefined {
    if (this.#bufferedBytes <= bufferedBytesMax) return undefined;
    this.#room ??= new Promise((resolve) => {
      this.#onRoom = resolve;
    });
    return this.#room;
  }

  /** Takes nothing more; what is not written by now never is. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#onRoom();
  }

  #sendIn(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#send(), delayMs);
  }

  #send(): void {
    if (this.#sent.length > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#queue.splice(0, this.#batchCount());
    if (batch.length === 0) return;
    this.#sent = batch;
    const operations = batch.map((write) => write.operation);
    const { items, buffer } = packBytes(operations, this.#spare);
    this.#spare = new ArrayBuffer(0);
    this.thread
      .request('write', { operations: items, buffer }, (written) => this.#complete(batch, written), [buffer])
      .catch((error: ServiceError) => this.#fail(batch, error));
  }

  #batchCount(): number {
    let bytes = 0;
    const past = this.#queue.findIndex((write, index) => {
      bytes += sizeOf(write);
      return index === batchWritesMax || (index > 0 && bytes > batchBytesMax);
    });
    return past === -1 ? this.#queue.length : past;
  }

  #complete(batch: readonly Write[], { results, buffer }: Written): void {
    this.#sent = [];
    if (buffer.byteLength <= batchBytesMax) this.#spare = buffer;
    if (this.#failures > 0) this.logger.info({ file: this.file }, 'the store can write again');
    this.#failures = 0;
    batch.forEach((write, index) => {
      this.#settle(write, results[index] ?? 0);
    });
    this.#keep(this.#queue);
    if (this.#queue.some((write) => write.onRefused !== undefined)) this.#send();
    else if (this.#queue.length > 0) this.#sendIn(this.#bufferedBytes > batchBytesMax ? 0 : lingerMs);
  }

  #settle(write: Write, result: number | Fault): void {
    if (typeof result === 'number') {
      write.onWritten?.(result);
    } else if (write.onRefused !== undefined) {
      write.onRefused(rejected(result));
    } else if (!write.execution?.forgotten) {
      const { kind } = write.operation;
      this.logger.error({ fault: result, kind, executionId: write.execution?.id }, 'a write can never be done');
      write.onWritten?.(0);
    }
  }

  /** Nothing of the batch was written. Whoever waits for a write hears of it now, also those not sent yet. */
  #fail(batch: readonly Write[], error: ServiceError): void {
    this.#sent = [];
    if (this.#failures === 0) {
      this.logger.error({ err: error, file: this.file }, 'the store cannot write; it tries again');
    }
    this.#failures += 1;
    const all = [...batch, ...this.#queue];
    for (const write of all) write.onRefused?.(error);
    this.#keep(all.filter((write) => write.onRefused === undefined));
    if (this.#queue.length > 0) this.#sendIn(Math.min(retryDelayMs.first * 2 ** this.#failures, retryDelayMs.most));
  }

  /** Goes on with these writes, but for those of executions that could not be recorded. */
  #keep(writes: readonly Write[]): void {
    this.#queue = writes.filter((write) => !write.execution?.forgotten);
    this.#bufferedBytes = this.#queue.reduce((bytes, write) => bytes + sizeOf(write), 0);
    if (this.#room === undefined || this.#bufferedBytes > bufferedBytesMax / 2) return;
    this.#onRoom();
    this.#room = undefined;
  }
}

function sizeOf({ operation }: Write): number {
  if (operation.kind === 'append') return writeBytes + operation.bytes.byteLength;
  if (operation.kind !== 'insert') return writeBytes;
  const { pending } = operation;
  return writeBytes + (pending?.bytes?.byteLength ?? 0) + (pending?.job.stdin.length ?? 0);
}
