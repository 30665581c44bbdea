import type { AcceptedEvent, ExecutionEvent, FinishedEvent, OutputEvent } from '@python-executor/contract';
import type { Job } from '../jobs/ports.js';

/** What the store's thread is started with. */
export interface WorkerInput {
  /** `:memory:` keeps nothing. */
  readonly dataDir: string;
}

/** The first message of the store's thread. */
export type Opening =
  | {
      readonly type: 'opened';
      /** Absolute path of the database, or `:memory:`. */
      readonly file: string;
      /** Greater than the key of any execution. */
      readonly nextKey: number;
      readonly unfinished: readonly UnfinishedExecution[];
    }
  | { readonly type: 'refused'; readonly message: string };

/** An execution that was not over when an earlier server went. */
export interface UnfinishedExecution {
  readonly key: number;
  readonly id: string;
  /** `orphan`: it was running, or what it would run is not there any more. */
  readonly state: 'pending' | 'orphan';
  readonly outputCount: number;
}

/** Everything about an archive but its bytes. */
export interface ArchiveRecord {
  readonly path: string | undefined;
  readonly sizeBytes: number;
  readonly files: readonly string[];
}

/** Stands in place of the job of an execution that no later server is to run. */
export const notResumed = '';

/** One change of the database. An execution goes by its key here. */
export type Operation =
  | {
      readonly kind: 'insert';
      readonly key: number;
      readonly executionId: string;
      readonly accepted: AcceptedEvent;
      /** What a later server needs to run it; undefined when none is to. */
      readonly pending: PendingRecord | undefined;
    }
  | { readonly kind: 'start'; readonly key: number; readonly at: string }
  | {
      readonly kind: 'append';
      readonly key: number;
      readonly seq: number;
      readonly stream: OutputEvent['stream'];
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'settle'; readonly key: number; readonly finished: FinishedEvent }
  /** Takes back an insert. */
  | { readonly kind: 'forget'; readonly key: number }
  | { readonly kind: 'prune'; readonly before: string; readonly countMax: number }
  /** Writes something that changes nothing. */
  | { readonly kind: 'probe' }
  /** Writes nothing: it is done when everything before it is. */
  | { readonly kind: 'flush' };

/** Why something could not be done, in a form that passes between threads. */
export interface Fault {
  /** The code of SQLite or of the operating system, e.g. `SQLITE_FULL`. */
  readonly code: string;
  readonly message: string;
}

export interface Batch {
  readonly operations: readonly Operation[];
  /** Holds the bytes of all operations. */
  readonly buffer: ArrayBuffer;
}

export interface Written {
  /** For each operation how many executions it changed, or why it can never be done. */
  readonly results: readonly (number | Fault)[];
  /** The buffer of the batch, to be used again: it would wait long for the garbage collector of the thread. */
  readonly buffer: ArrayBuffer;
}

export interface PendingRecord {
  readonly id: string;
  readonly job: Job;
  readonly archive: ArchiveRecord;
  readonly bytes: Uint8Array | undefined;
}

/** What the store's thread can be asked; it answers in the order of the requests. */
export interface Requests {
  /** All operations in one transaction. */
  write: { readonly input: Batch; readonly answer: Written };
  events: { readonly input: string; readonly answer: readonly ExecutionEvent[] | undefined };
  pending: { readonly input: undefined; readonly answer: readonly PendingRecord[] };
  close: { readonly input: undefined; readonly answer: undefined };
}

export type RequestType = keyof Requests;

export type Request = {
  [Type in RequestType]: { readonly type: Type; readonly input: Requests[Type]['input'] };
}[RequestType];

export type Reply =
  | { readonly type: 'answer'; readonly answer: Requests[RequestType]['answer'] }
  | { readonly type: 'fault'; readonly fault: Fault };
