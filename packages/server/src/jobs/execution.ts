import { performance } from 'node:perf_hooks';
import type { ExecutionEvent, FinishedEvent } from '@python-executor/contract';
import type { Logger } from 'pino';
import type { Availability } from './availability.js';
import { type EndCause, EndedByService } from './causes.js';
import { OutputGatherer } from './gather.js';
import { type Outcome, outcomeOfError } from './outcome.js';
import {
  type Archive,
  type Delivery,
  type ExecutionObserver,
  type ExecutionStore,
  type Job,
  SandboxError,
  type Sandboxes,
} from './ports.js';
import type { Queue, QueueEntry } from './queue.js';
import { runJob } from './run.js';

export interface ExecutionContext {
  readonly store: ExecutionStore;
  readonly sandboxes: Sandboxes;
  readonly queue: Queue;
  readonly availability: Availability;
  readonly stdoutBytesMax: number;
  readonly stderrBytesMax: number;
  readonly observer: ExecutionObserver | undefined;
  readonly logger: Logger;
}

/** One accepted execution while this server has to do with it: from waiting to settled. */
export class Execution implements QueueEntry {
  readonly id: string;
  /** Resolves with the last event. Never rejects. */
  readonly finished: Promise<FinishedEvent>;
  readonly #controller = new AbortController();
  readonly #logger: Logger;
  #finish!: (event: FinishedEvent) => void;
  #startedMs: number | undefined;
  #settled = false;
  #released: Promise<void> = Promise.resolve();
  readonly #events: ExecutionEvent[] = [];
  readonly #output = new OutputGatherer((event) => {
    this.keep(event);
    return this.context.store.append(this.id, event);
  });

  constructor(
    private readonly job: Job,
    private readonly archive: Archive,
    readonly delivery: Delivery,
    private readonly context: ExecutionContext,
  ) {
    this.id = job.executionId;
    this.#logger = context.logger.child({ executionId: job.executionId });
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get started(): boolean {
    return this.#startedMs !== undefined;
  }

  /** Every event so far; only of a `sync` execution, whose caller is there to take them. */
  get events(): readonly ExecutionEvent[] {
    return this.#events;
  }

  /** Ends the execution for the given cause, unless it has ended. What ended it first stays the reason. */
  end(endCause: EndCause): void {
    const cause = new EndedByService(endCause);
    this.#controller.abort(cause);
    if (this.context.queue.remove(this)) {
      void this.#settle(outcomeOfError(cause, this.job, { phase: 'queue', wallMs: 0, measured: undefined }));
    }
  }

  async run(): Promise<void> {
    const { sandboxes, stdoutBytesMax, stderrBytesMax, availability, queue } = this.context;
    try {
      const outcome = await runJob(this.job, this.archive, {
        sandboxes,
        stdoutBytesMax,
        stderrBytesMax,
        signal: this.#controller.signal,
        onStart: () => this.#start(),
        onOutput: (stream, bytes) => this.#output.add(stream, bytes),
        onRelease: (released) => {
          this.#released = released;
        },
      });
      await this.#settle(outcome);
    } catch (error) {
      if (!(error instanceof SandboxError && error.reason === 'engine_unavailable')) {
        this.#logger.error({ err: error }, 'the execution failed for a fault of the service');
        await this.#settle(outcomeOfError(error, this.job, { phase: 'run', wallMs: 0, measured: undefined }));
        return;
      }
      availability.reportDown(error);
      queue.pushFront(this);
    }
    await this.#released;
  }

  async #start(): Promise<boolean> {
    // The sandbox that had it before was lost before anything ran.
    if (this.started) return true;
    const event = { type: 'started', at: new Date().toISOString() } as const;
    this.#startedMs = performance.now();
    this.keep(event);
    const runs = await this.context.store.start(this.id, event);
    // A later server runs whatever it finds waiting, and nothing must run twice. A store that cannot write tells so by
    // itself, and holds nobody up.
    if (runs && this.delivery === 'async') await this.context.store.flush().catch(() => {});
    return runs;
  }

  async #settle(outcome: Outcome): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    await this.#output.flush();
    const durationMs = this.#startedMs === undefined ? 0 : Math.round(performance.now() - this.#startedMs);
    const event: FinishedEvent = { ...outcome, type: 'finished', at: new Date().toISOString(), durationMs };
    this.keep(event);
    const { status, termination, exitCode } = event;
    this.context.observer?.onEnded(event);
    this.#logger.info({ status, reason: termination.reason, exitCode, durationMs }, 'execution ended');
    try {
      await this.context.store.settle(this.id, event);
      await this.archive.dispose();
    } catch (error) {
      this.#logger.error({ err: error }, 'the end of the execution could not be recorded');
    } finally {
      this.#finish(event);
    }
  }

  /** Remembers an event for the caller, if there is one who waits. */
  keep(event: ExecutionEvent): void {
    if (this.delivery === 'sync') this.#events.push(event);
  }
}
