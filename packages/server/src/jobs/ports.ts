import type { Readable } from 'node:stream';
import type {
  AcceptedEvent,
  ExecutionEvent,
  FinishedEvent,
  Metadata,
  OutputEvent,
  StartedEvent,
} from '@python-executor/contract';

/** What a sandbox is made of. Two equal specs are interchangeable, so a warm sandbox may serve either. */
export interface SandboxSpec {
  /** Name of the image that brings the interpreter, e.g. `python:3.11-slim`. */
  readonly image: string;
  /** Memory and swap together. */
  readonly memoryBytes: number;
  /** Size of /work, and of /tmp. */
  readonly diskBytes: number;
  readonly cpuShares: number;
  /** `public`: addresses of the public internet only. */
  readonly network: 'none' | 'public';
  /** `setup`: pre_commands run first, as root of the sandbox with a writable root file system. */
  readonly privilege: 'program' | 'setup';
}

/** A checked, canonical archive of the request's files. It lies in memory while it is small, in a spool file else. */
export interface Archive {
  readonly sizeBytes: number;
  /** Paths of the regular files, e.g. `src/app.py`. */
  readonly files: readonly string[];
  /** The canonical tar. May be opened more than once. */
  open(): Readable;
  /** Bytes of the tar when it lies in memory, undefined when it lies in a file. */
  readonly bytes: Uint8Array | undefined;
  /** Path of the spool file when it lies in one. */
  readonly path: string | undefined;
  /**
   * Makes a spool file survive a crash of the machine; does nothing for an archive in memory.
   *
   * @throws ServiceError `store_unavailable`
   */
  persist(): Promise<void>;
  /** Forgets the bytes and removes the spool file. Idempotent. */
  dispose(): Promise<void>;
}

/** What a client asked for, parsed. Whoever takes it owns its archive from then on. */
export interface ExecutionRequest {
  readonly metadata: Metadata;
  readonly archive: Archive;
  /** Sentences for `warnings` of the result, e.g. about unknown fields. */
  readonly warnings: readonly string[];
  /** `eval`: the value of a final expression becomes `result`. */
  readonly mode: 'script' | 'eval';
}

/** One execution, resolved: everything a runner must know. Serializable as JSON, frozen. */
export interface Job {
  readonly executionId: string;
  readonly spec: SandboxSpec;
  readonly entrypoint: string;
  readonly args: readonly string[];
  /** `KEY=value` strings. */
  readonly env: readonly string[];
  readonly preCommands: readonly string[];
  readonly stdin: string;
  readonly evalLastExpr: boolean;
  readonly timeoutMs: number;
}

/** What a sandbox's cgroup, or its best substitute, has counted. */
export interface Measured {
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
  /** Whether the kernel killed any process of the sandbox for memory. */
  readonly oomKilled: boolean;
}

/** How the agent says that the program ended. */
export interface AgentExit extends Measured {
  readonly phase: 'setup' | 'run';
  /** 0…255 for an exit; undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly wallMs: number;
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
  readonly errorType: string | undefined;
  readonly errorLine: number | undefined;
  /** `repr()` of the last expression, when it was asked for and not None. */
  readonly result: string | undefined;
  /** The files did not fit; nothing ran. */
  readonly diskFull: boolean;
}

export interface JobDelivery {
  readonly job: Job;
  readonly archive: Archive;
  readonly stdoutBytesMax: number;
  readonly stderrBytesMax: number;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Called in order. The program is held up until a promise that it returns resolves; that never rejects. */
  readonly onOutput: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void> | undefined;
}

/** A sandbox whose agent waits for its one job. */
export interface ReadySandbox {
  readonly id: string;
  /**
   * Delivers the job and follows it to its end.
   *
   * @throws SandboxError `lost` when the sandbox ended without saying how the program did, `protocol` when what it said
   * made no sense; the abort reason when `signal` aborts.
   */
  run(delivery: JobDelivery, options: RunOptions): Promise<AgentExit>;
  /** Whether the agent is there still, as far as can be told without asking it. */
  readonly alive: boolean;
  /** Whether a program is running yet, or pre_commands still are. */
  readonly phase: 'setup' | 'run';
  /** What was measured so far; best effort, for executions that end without an {@link AgentExit}. */
  measure(): Promise<Measured | undefined>;
  /** Kills everything inside and removes every trace. Idempotent. */
  destroy(): Promise<void>;
}

/** How sandboxes are made here. */
export interface SandboxMaking {
  /** `docker` or `oci`. */
  readonly backend: string;
  /** E.g. `crun 1.8.1`, or the name by which an engine knows it. */
  readonly runtime: string;
  /** `zygote`: forked from an interpreter that is up already. `container`: each is a container of the runtime. */
  readonly way: 'zygote' | 'container';
  /** One clause, for whoever operates the service. */
  readonly why: string;
}

/** How many sandboxes wait and are being made, and how often one was waiting when it was wanted. */
export interface SandboxStats {
  readonly ready: number;
  readonly making: number;
  readonly hits: number;
  readonly misses: number;
}

/** Hears how executions end, for metrics. */
export interface ExecutionObserver {
  onEnded(end: Pick<FinishedEvent, 'status' | 'termination'>): void;
}

/** Where runners get sandboxes from. */
export interface Sandboxes {
  /** Undefined where none ever waits. */
  readonly stats?: SandboxStats;
  /**
   * @throws SandboxError `image_unavailable` or `engine_unavailable`, or another when the sandbox could not be made.
   */
  acquire(spec: SandboxSpec, options: { readonly signal: AbortSignal }): Promise<ReadySandbox>;
  /** Throws unless a sandbox could be made now. */
  probe(options: { readonly signal: AbortSignal }): Promise<void>;
}

export type SandboxErrorReason = 'image_unavailable' | 'engine_unavailable' | 'lost' | 'protocol' | 'internal';

/** A sandbox could not be made, or broke. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';

  constructor(
    readonly reason: SandboxErrorReason,
    message: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }
}

/** `sync`: a caller waits for the result; `async`: it was answered 202 and outlives this server. */
export type Delivery = 'sync' | 'async';

export interface NewExecution {
  /** Only an `async` execution is run by a later server; a `sync` one is an orphan then: its caller is gone. */
  readonly delivery: Delivery;
  readonly job: Job;
  readonly archive: Archive;
  readonly accepted: AcceptedEvent;
}

/** A job that was accepted before and has to run still. */
export interface PendingExecution {
  readonly job: Job;
  readonly archive: Archive;
}

/**
 * Durable records and events of executions. Writes take effect at once and reach the disk behind the caller, in order:
 * what a read says includes every write that was called before it, and {@link flush} tells when they are durable.
 */
export interface ExecutionStore {
  /**
   * Records a new execution as pending, and persists the archive of an `async` one, which stays the caller's. The other methods know the
   * execution from the call on, so whoever need not promise that it survives may go on without waiting. When the promise
   * rejects, the execution is forgotten as if it had never been; a rejection that nobody handles does no harm.
   *
   * @returns once it survives a crash of the machine
   * @throws ServiceError `store_unavailable`
   */
  insert(execution: NewExecution): Promise<void>;
  /** pending → running, by compare-and-set: false when the execution is not pending. Resolves without the disk. */
  start(executionId: string, event: StartedEvent): Promise<boolean>;
  /**
   * Appends output, in order; does nothing once the execution is final. Each event is a record of its own, so a caller
   * gathers small pieces. The bytes must not change afterwards.
   *
   * @returns undefined, or when too much waits for the disk a promise to wait for before the next call; it never rejects
   */
  append(executionId: string, event: OutputEvent): Promise<void> | undefined;
  /**
   * The one terminal transition, by compare-and-set: false when another came first. Drops the record of the job and its
   * archive. Resolves without the disk: after a crash within moments the execution may be an orphan again.
   */
  settle(executionId: string, event: FinishedEvent): Promise<boolean>;
  /**
   * The events so far, in order; undefined when there is no such execution.
   *
   * @throws ServiceError `store_unavailable`
   */
  events(executionId: string): Promise<readonly ExecutionEvent[] | undefined>;
  /** Executions that were accepted and never started, oldest first. Called once, at start. */
  pending(): Promise<readonly PendingExecution[]>;
  /**
   * Ids of executions that a server which is gone was running or had a caller waiting for, or whose archive is gone. Called once, at start.
   */
  orphans(): Promise<readonly string[]>;
  /**
   * Removes executions that ended before `before` (RFC 3339). Returns how many.
   *
   * @throws ServiceError `store_unavailable`
   */
  prune(before: string): Promise<number>;
  /**
   * Resolves once every write that was called before survives a crash of the machine.
   *
   * @throws ServiceError `store_unavailable` when it does not yet; it will when the disk is back
   */
  flush(): Promise<void>;
  /** @throws ServiceError `store_unavailable` unless a write would be durable now */
  probe(): Promise<void>;
  /**
   * Writes what is still buffered and lets go of the files. Idempotent.
   *
   * @throws ServiceError `store_unavailable` when something could not be written; the files are let go all the same
   */
  close(): Promise<void>;
}
