import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { machineCpuSeconds } from './processor.js';
import { median } from './statistics.js';
import type { Run } from './target.js';

export interface LoopResult {
  readonly latenciesMs: readonly number[];
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly runsPerSecond: number;
  /** Of the whole machine, the driver included. */
  readonly cpuSecondsPerRun: number;
}

export interface ClosedLoopLimits {
  readonly clients: number;
  readonly seconds: number;
  /** It goes on after its time until so many have ended; 1 unless given. */
  readonly runsMin?: number;
  readonly runsMax?: number;
  /** So many runs come first and are not counted: until a pool that was full is as it is under load. */
  readonly leadRuns?: number;
  /** What a client waits for before each of its requests; not timed. */
  readonly rest?: (() => Promise<void>) | undefined;
}

/**
 * A number of clients, each of which sends its next request when it has the answer to the last. What ends between the end
 * of the lead and the end of the time counts, so the ebb at the end does not.
 */
export async function closedLoop(run: Run, limits: ClosedLoopLimits): Promise<LoopResult> {
  const { clients, seconds, runsMin = 1, runsMax = Number.POSITIVE_INFINITY, leadRuns = 0, rest } = limits;
  let recorder = new Recorder();
  let [led, ended, started] = [0, 0, 0];
  let result: LoopResult | undefined;
  const isOver = (): boolean => ended >= runsMax || (ended >= runsMin && recorder.elapsedSeconds >= seconds);
  const client = async (): Promise<void> => {
    while (result === undefined && started < leadRuns + runsMax) {
      started += 1;
      await rest?.();
      const record = await time(run, performance.now());
      if (led < leadRuns) {
        led += 1;
        if (led === leadRuns) recorder = new Recorder();
      } else if (result === undefined) {
        // One that began in the lead counts as well: as many are on their way when the time is over.
        recorder.add(record);
        ended += 1;
        if (isOver()) result = recorder.result();
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return result ?? recorder.result();
}

/** Requests at a fixed rate, whatever the answers do; each is timed from the moment when it was due. */
export async function openLoop(
  run: Run,
  limits: { readonly runsPerSecond: number; readonly seconds: number },
): Promise<LoopResult> {
  const recorder = new Recorder();
  const beganMs = performance.now();
  const runs: Promise<void>[] = [];
  const total = Math.max(1, Math.floor(limits.runsPerSecond * limits.seconds));
  for (let index = 0; index < total; index += 1) {
    const dueMs = beganMs + (index / limits.runsPerSecond) * 1000;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    runs.push(time(run, dueMs).then((record) => recorder.add(record)));
  }
  await Promise.all(runs);
  return recorder.result();
}

/** So many requests at one moment. */
export async function burst(run: Run, count: number): Promise<LoopResult> {
  return await closedLoop(run, { clients: count, seconds: 0, runsMin: count, runsMax: count });
}

/** Several rounds of the same as one; rates are those of the middle round. */
export function merge(results: readonly LoopResult[]): LoopResult {
  return {
    latenciesMs: results.flatMap(({ latenciesMs }) => latenciesMs),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
    firstError: results.find(({ firstError }) => firstError !== undefined)?.firstError,
    runsPerSecond: median(results.map(({ runsPerSecond }) => runsPerSecond)),
    cpuSecondsPerRun: median(results.map(({ cpuSecondsPerRun }) => cpuSecondsPerRun)),
  };
}

type Timed = { readonly latencyMs: number } | { readonly error: unknown };

async function time(run: Run, fromMs: number): Promise<Timed> {
  try {
    await run();
    return { latencyMs: performance.now() - fromMs };
  } catch (error) {
    return { error };
  }
}

class Recorder {
  readonly #latenciesMs: number[] = [];
  readonly #beganMs = performance.now();
  readonly #cpuSecondsBefore = machineCpuSeconds();
  #errors = 0;
  #firstError: string | undefined;

  get elapsedSeconds(): number {
    return (performance.now() - this.#beganMs) / 1000;
  }

  add(timed: Timed): void {
    if ('latencyMs' in timed) {
      this.#latenciesMs.push(timed.latencyMs);
    } else {
      this.#errors += 1;
      this.#firstError ??= String(timed.error);
    }
  }

  result(): LoopResult {
    const runs = this.#latenciesMs.length;
    return {
      latenciesMs: [...this.#latenciesMs],
      errors: this.#errors,
      firstError: this.#firstError,
      runsPerSecond: runs / this.elapsedSeconds,
      cpuSecondsPerRun: (machineCpuSeconds() - this.#cpuSecondsBefore) / Math.max(1, runs),
    };
  }
}
