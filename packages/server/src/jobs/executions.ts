import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type ExecutionResult, type ExecutionStatus, foldEvents, quote, ServiceError } from '@python-executor/contract';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { Availability } from './availability.js';
import { Execution, type ExecutionContext } from './execution.js';
import { outcomeOfLostWorker } from './outcome.js';
import type {
  Delivery,
  ExecutionObserver,
  ExecutionRequest,
  ExecutionStore,
  Sandboxes,
  SandboxMaking,
  SandboxStats,
} from './ports.js';
import { Queue } from './queue.js';
import { type ResolveOptions, resolveJob } from './resolve.js';

export interface ExecutionsOptions {
  readonly store: ExecutionStore;
  readonly sandboxes: Sandboxes;
  readonly resolve: ResolveOptions;
  readonly jobs: Config['jobs'];
  /** Says how sandboxes are made; for `/ready`. */
  readonly describeSandboxes?: () => Promise<SandboxMaking>;
  readonly observer?: ExecutionObserver;
  readonly logger: Logger;
}

const retryAfterSeconds = 5;

/** All executions of this server: takes requests, runs them in turn, answers for those that ended long ago. */
export class Executions {
  readonly #live = new Map<string, Execution>();
  readonly #queue: Queue;
  readonly #availability: Availability;
  readonly #context: ExecutionContext;
  readonly #closing = new AbortController();
  /** How many are being recorded and come to the queue after that. */
  #admitting = 0;

  constructor(private readonly options: ExecutionsOptions) {
    const { store, sandboxes, jobs, logger, resolve, observer } = options;
    this.#queue = new Queue(jobs);
    this.#availability = new Availability({
      sandboxes,
      signal: this.#closing.signal,
      onDown: (reason) => {
        logger.error({ reason }, 'sandboxes cannot be made; what is accepted waits');
        this.#queue.pause();
      },
      onUp: () => {
        logger.info('sandboxes can be made again');
        this.#queue.resume();
      },
    });
    const { stdoutBytesMax, stderrBytesMax } = resolve.limits;
    const { queue, availability } = { queue: this.#queue, availability: this.#availability };
    this.#context = { store, sandboxes, queue, availability, stdoutBytesMax, stderrBytesMax, observer, logger };
  }

  /**
   * Takes over from a server that is gone: runs what it had accepted, settles what it was running.
   *
   * @returns how many of each
   */
  async recover(): Promise<{ readonly resumed: number; readonly lost: number }> {
    const { store } = this.options;
    const orphans = await store.orphans();
    for (const id of orphans) {
      const at = new Date().toISOString();
      const event = { ...outcomeOfLostWorker('run'), type: 'finished', at, durationMs: 0 } as const;
      await store.settle(id, event);
      this.options.observer?.onEnded(event);
    }
    const pending = await store.pending();
    for (const { job, archive } of pending) this.#enter(new Execution(job, archive, 'async', this.#context));
    return { resumed: pending.length, lost: orphans.length };
  }

  /** Runs the request and waits for its end. When `signal` aborts, the execution ends as killed. */
  async runToEnd(request: ExecutionRequest, { signal }: { readonly signal: AbortSignal }): Promise<ExecutionResult> {
    const { execution, recorded } = await this.#admit(request, 'sync');
    const onAbort = (): void => execution.end('cancelled');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await execution.finished;
      // It did not wait for the disk, but what could not be recorded must not look as if it had been.
      await recorded;
      return foldEvents(execution.id, execution.events);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Accepts the request; what comes of it is read later. Returns the id once it survives a crash. */
  async enqueue(request: ExecutionRequest): Promise<string> {
    const { execution } = await this.#admit(request, 'async');
    return execution.id;
  }

  /** @throws ServiceError `execution_not_found` */
  async read(executionId: string): Promise<ExecutionResult> {
    const events = await this.options.store.events(executionId);
    if (events === undefined) throw notFound(executionId);
    return foldEvents(executionId, events);
  }

  /**
   * Ends an execution and returns its final status, which is another than `killed` when it had ended by itself.
   *
   * @throws ServiceError `execution_not_found`
   */
  async cancel(executionId: string): Promise<ExecutionStatus> {
    const execution = this.#live.get(executionId);
    if (execution === undefined) return (await this.read(executionId)).status;
    execution.end('cancelled');
    const { status } = await execution.finished;
    await this.options.store.flush();
    return status;
  }

  /** @throws ServiceError `engine_unavailable`, `store_unavailable` or `shutting_down` */
  async checkReady({ signal }: { readonly signal: AbortSignal }): Promise<Readiness> {
    this.#checkOpen();
    await this.#availability.probe(signal);
    await this.options.store.probe();
    const { stats } = this.options.sandboxes;
    const sandboxes = await this.options.describeSandboxes?.();
    return { ...this.load, ...(stats && { pool: stats }), ...(sandboxes && { sandboxes }) };
  }

  /** Executions that run, and that wait for their turn. */
  get load(): Pick<Readiness, 'running' | 'waiting'> {
    const { running, waiting } = this.#queue;
    return { running, waiting };
  }

  /**
   * Accepts nothing more, lets what runs come to its end within the grace time and ends the rest. What waits and was
   * answered 202 waits for the next server.
   */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#queue.pause();
    const { shutdownGraceMs } = this.options.jobs;
    const grace = new AbortController();
    await Promise.race([
      this.#queue.idle(),
      delay(shutdownGraceMs, undefined, { signal: grace.signal }).catch(() => {}),
    ]);
    grace.abort();
    for (const execution of this.#live.values()) {
      if (execution.started || execution.delivery === 'sync') execution.end('shutdown');
    }
    await this.#queue.idle();
  }

  async #admit(request: ExecutionRequest, delivery: Delivery): Promise<Admitted> {
    const { archive } = request;
    try {
      this.#checkOpen();
      const { job, warnings } = resolveJob(`exe_${randomUUID()}`, request, this.options.resolve);
      this.#availability.check();
      this.#checkRoom();
      const accepted = { type: 'accepted', at: new Date().toISOString(), warnings } as const;
      const recorded = this.options.store.insert({ delivery, job, archive, accepted });
      // What could not be recorded, and is not answered 202 therefore, must not run.
      if (delivery === 'async') await this.#whileAdmitting(recorded);
      const execution = new Execution(job, archive, delivery, this.#context);
      execution.keep(accepted);
      this.#enter(execution);
      return { execution, recorded };
    } catch (error) {
      await archive.dispose();
      throw error;
    }
  }

  #enter(execution: Execution): void {
    this.#live.set(execution.id, execution);
    void execution.finished.then(() => this.#live.delete(execution.id));
    this.#queue.push(execution);
  }

  #checkRoom(): void {
    if (this.#queue.room > this.#admitting) return;
    const message = `Cannot accept the execution: ${this.#queue.waiting} are waiting already`;
    throw new ServiceError('queue_full', message, { retryAfterSeconds });
  }

  /** What is being recorded has its place in the queue already. */
  async #whileAdmitting(recorded: Promise<void>): Promise<void> {
    this.#admitting += 1;
    try {
      await recorded;
    } finally {
      this.#admitting -= 1;
    }
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) {
      throw new ServiceError('shutting_down', 'Cannot accept anything more: the server is shutting down', {
        retryAfterSeconds,
      });
    }
  }
}

/** What `/ready` says when something can be run. */
export interface Readiness {
  /** Executions that run, and that wait for their turn. */
  readonly running: number;
  readonly waiting: number;
  readonly pool?: SandboxStats;
  readonly sandboxes?: SandboxMaking;
}

interface Admitted {
  readonly execution: Execution;
  /** Resolves once the record survives a crash. A rejection that nobody handles does no harm. */
  readonly recorded: Promise<void>;
}

function notFound(executionId: string): ServiceError {
  return new ServiceError('execution_not_found', `Cannot find execution ${quote(executionId)}`);
}
