import type { LoopResult } from './loops.js';
import { median, quantile } from './statistics.js';
import type { Workload } from './workloads.js';

/** What one target did under one load. */
export interface Row {
  readonly part: string;
  readonly target: string;
  readonly workload: string;
  readonly load: string;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly runsPerSecond: number;
  readonly errors: number;
  readonly firstError?: string;
  readonly cpuMsPerRun: number;
  /** To `python3 main.py` under the same load in the same rounds. */
  readonly p50ToBare?: number;
  readonly rateToBare?: number;
}

export type RowHead = Pick<Row, 'part' | 'target' | 'load'> & { readonly workload: Workload };

export function rowOf({ part, target, workload, load }: RowHead, result: LoopResult): Row {
  const { latenciesMs, errors, firstError, runsPerSecond, cpuSecondsPerRun } = result;
  return {
    part,
    target,
    workload: workload.name,
    load,
    p50Ms: quantile(latenciesMs, 0.5),
    p90Ms: quantile(latenciesMs, 0.9),
    p99Ms: quantile(latenciesMs, 0.99),
    maxMs: quantile(latenciesMs, 1),
    runsPerSecond,
    errors,
    ...(firstError !== undefined && { firstError }),
    cpuMsPerRun: cpuSecondsPerRun * 1000,
  };
}

/** The medians over the rounds of what one round of one has to the same round of the other. */
export function ratiosOf(
  results: readonly LoopResult[],
  bare: readonly LoopResult[],
): Pick<Row, 'p50ToBare' | 'rateToBare'> {
  const over = (figureOf: (result: LoopResult) => number): number =>
    median(results.map((result, round) => figureOf(result) / figureOf(bare[round] as LoopResult)));
  return {
    p50ToBare: over(({ latenciesMs }) => median(latenciesMs)),
    rateToBare: over(({ runsPerSecond }) => runsPerSecond),
  };
}
