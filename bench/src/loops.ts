import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { machineCpuSeconds } from './measure.js';

export interface LoopResult {
  readonly latenciesMs: readonly number[];
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly runsPerSecond: number;
  /** Of the whole machine, the driver included. */
  readonly cpuSecondsPerRun: number;
}

/** A number of clients, each of which sends its next request when it has the answer to the last. */
export async function closedLoop(
  run: () => Promise<void>,
  limits: {
    readonly clients: number;
    readonly seconds: number;
    readonly runsMax: number;
    /** What a client waits for before each of its requests; not timed. */
    readonly rest?: (() => Promise<void>) | undefined;
  },
): Promise<LoopResult> {
  const record = new Recorder();
  const endMs = performance.now() + limits.seconds * 1000;
  let started = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < endMs && started < limits.runsMax) {
      started += 1;
      await limits.rest?.();
      await record.time(run, performance.now());
    }
  };
  await Promise.all(Array.from({ length: limits.clients }, client));
  return record.result();
}

/** Requests at a fixed rate, whatever the answers do; each is timed from the moment when it was due. */
export async function openLoop(
  run: () => Promise<void>,
  limits: { readonly runsPerSecond: number; readonly seconds: number },
): Promise<LoopResult> {
  const record = new Recorder();
  const beganMs = performance.now();
  const runs: Promise<void>[] = [];
  const total = Math.max(1, Math.floor(limits.runsPerSecond * limits.seconds));
  for (let index = 0; index < total; index += 1) {
    const dueMs = beganMs + (index / limits.runsPerSecond) * 1000;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    runs.push(record.time(run, dueMs));
  }
  await Promise.all(runs);
  return record.result();
}

class Recorder {
  readonly #latenciesMs: number[] = [];
  readonly #beganMs = performance.now();
  readonly #cpuSecondsBefore = machineCpuSeconds();
  #errors = 0;
  #firstError: string | undefined;

  async time(run: () => Promise<void>, fromMs: number): Promise<void> {
    try {
      await run();
      this.#latenciesMs.push(performance.now() - fromMs);
    } catch (error) {
      this.#errors += 1;
      this.#firstError ??= String(error);
    }
  }

  result(): LoopResult {
    const runs = this.#latenciesMs.length;
    return {
      latenciesMs: this.#latenciesMs,
      errors: this.#errors,
      firstError: this.#firstError,
      runsPerSecond: runs / ((performance.now() - this.#beganMs) / 1000),
      cpuSecondsPerRun: (machineCpuSeconds() - this.#cpuSecondsBefore) / Math.max(1, runs),
    };
  }
}
