import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { EndedByService } from './causes.js';
import { type Outcome, outcomeOfError, outcomeOfExit } from './outcome.js';
import {
  type Archive,
  type Job,
  type Measured,
  type ReadySandbox,
  type RunOptions,
  SandboxError,
  type Sandboxes,
} from './ports.js';

/** How long whoever stops an execution waits for what it has used. Some engines take a second to say. */
const measureMsMax = 500;

/** Sandboxes that a job is given to, one after the other, while they are lost before it starts. */
const attemptsMax = 3;

export interface RunJobOptions {
  readonly sandboxes: Sandboxes;
  readonly stdoutBytesMax: number;
  readonly stderrBytesMax: number;
  /** Called when a sandbox has the job; false means that it must not run any more. */
  readonly onStart: () => Promise<boolean>;
  readonly onOutput: RunOptions['onOutput'];
  /** Called with the destruction of the sandbox, which goes on after the outcome is known. */
  readonly onRelease: (released: Promise<void>) => void;
  /** Aborts with an {@link EndedByService}. */
  readonly signal: AbortSignal;
}

/**
 * Runs a job once, in a sandbox of its own, and says how it ended. Exit, time-out and abort race here, and the first
 * wins.
 *
 * @throws SandboxError `engine_unavailable` when no sandbox could be had: nothing has run then, so it can be tried again
 */
export async function runJob(job: Job, archive: Archive, options: RunJobOptions): Promise<Outcome> {
  const ending = new AbortController();
  const onAbort = (): void => ending.abort(options.signal.reason);
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) onAbort();
  try {
    for (let attemptsLeft = attemptsMax; ; attemptsLeft -= 1) {
      try {
        return await attempt(job, archive, options, ending);
      } catch (error) {
        if (!(error instanceof NotStarted)) throw error;
        if (attemptsLeft === 1) return error.outcome;
      }
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}

/** @throws NotStarted when the sandbox is lost before the job has begun in it */
async function attempt(job: Job, archive: Archive, options: RunJobOptions, ending: AbortController): Promise<Outcome> {
  const sandbox = await acquire(job, options.sandboxes, ending.signal);
  if (!('run' in sandbox)) return sandbox.outcome;
  try {
    return await runIn(sandbox, job, archive, options, ending);
  } finally {
    options.onRelease(sandbox.destroy());
  }
}

async function acquire(
  job: Job,
  sandboxes: Sandboxes,
  signal: AbortSignal,
): Promise<ReadySandbox | { readonly outcome: Outcome }> {
  try {
    return await sandboxes.acquire(job.spec, { signal });
  } catch (error) {
    if (error instanceof SandboxError && error.reason === 'engine_unavailable' && !signal.aborted) throw error;
    const cause = signal.aborted ? signal.reason : error;
    const outcome = outcomeOfError(cause, job, { phase: 'queue', wallMs: 0, measured: undefined });
    // It was lost while it came up.
    if (cause instanceof SandboxError && cause.reason === 'lost') throw new NotStarted(outcome);
    return { outcome };
  }
}

async function runIn(
  sandbox: ReadySandbox,
  job: Job,
  archive: Archive,
  options: RunJobOptions,
  ending: AbortController,
): Promise<Outcome> {
  const { stdoutBytesMax, stderrBytesMax, onOutput } = options;
  const clipped = new OutputLimit(stdoutBytesMax, stderrBytesMax, onOutput);
  const beganMs = performance.now();
  const timer = setTimeout(() => ending.abort(new EndedByService('timeout')), job.timeoutMs);
  try {
    if (!(await options.onStart())) throw new EndedByService('cancelled');
    const delivery = { job, archive, stdoutBytesMax, stderrBytesMax };
    const exit = await sandbox.run(delivery, { signal: ending.signal, onOutput: clipped.take });
    return outcomeOfExit(exit, job);
  } catch (error) {
    clipped.close();
    const hasStarted = job.preCommands.length > 0 || sandbox.phase === 'run';
    const wallMs = Math.round(performance.now() - beganMs);
    const progress = { phase: sandbox.phase, wallMs, measured: await measure(sandbox, error) };
    const outcome = { ...outcomeOfError(error, job, progress), ...clipped.flags };
    if (error instanceof SandboxError && error.reason === 'lost' && !hasStarted && !outcome.oomKilled) {
      throw new NotStarted(outcome);
    }
    return outcome;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether memory was the cause is worth waiting for. What an execution used that was ended by us is not. */
function measure(sandbox: ReadySandbox, cause: unknown): Promise<Measured | undefined> {
  const measuring = sandbox.measure();
  if (!(cause instanceof EndedByService)) return measuring;
  return Promise.race([measuring, delay(measureMsMax, undefined, { ref: false })]);
}

/** The sandbox was lost before any of the user's code ran in it: another may take the job. */
class NotStarted extends Error {
  constructor(readonly outcome: Outcome) {
    super('The sandbox was lost before the program started');
  }
}

/** The agent keeps to the limits; this holds when it does not, and when it cannot say so any more. */
class OutputLimit {
  readonly #left: Record<'stdout' | 'stderr', number>;
  readonly #cut = { stdout: false, stderr: false };
  #closed = false;

  constructor(
    stdoutBytesMax: number,
    stderrBytesMax: number,
    private readonly onOutput: RunOptions['onOutput'],
  ) {
    this.#left = { stdout: stdoutBytesMax, stderr: stderrBytesMax };
  }

  readonly take: RunOptions['onOutput'] = (stream, bytes) => {
    if (this.#closed) return undefined;
    const piece = bytes.subarray(0, this.#left[stream]);
    this.#left[stream] -= piece.length;
    // A full stream that was ended may have been cut by the agent, which says so only at the end.
    if (piece.length < bytes.length || this.#left[stream] === 0) this.#cut[stream] = true;
    return piece.length === 0 ? undefined : this.onOutput(stream, piece);
  };

  close(): void {
    this.#closed = true;
  }

  get flags(): Pick<Outcome, 'stdoutTruncated' | 'stderrTruncated'> {
    return { stdoutTruncated: this.#cut.stdout, stderrTruncated: this.#cut.stderr };
  }
}
