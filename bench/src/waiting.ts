import { burst, type LoopResult } from './loops.js';
import { processesOf, pssBytes } from './processes.js';
import type { ServiceTarget } from './service.js';
import { stateOf, untilQuiet } from './state.js';
import { median } from './statistics.js';
import { workloads } from './workloads.js';

export interface Waited {
  readonly comingUpSeconds: number;
  /** Median over the sandboxes, all their processes together. */
  readonly pssBytes: number;
  readonly result: LoopResult;
}

const comingUpTimeoutMs = 300_000;
const sayEveryMs = 2_000;

/** Waits until so many sandboxes wait at once, then has all of them run at once. */
export async function runAllWaiting(
  service: ServiceTarget,
  count: number,
  onProgress: (ready: number) => void,
): Promise<Waited> {
  const beganMs = performance.now();
  const saying = setInterval(() => {
    // One that cannot answer now is asked again.
    stateOf(service.url).then(
      ({ pool }) => onProgress(pool.ready),
      () => {},
    );
  }, sayEveryMs);
  try {
    await untilQuiet(service.url, { readyMin: count, timeoutMs: comingUpTimeoutMs });
  } finally {
    clearInterval(saying);
  }
  const comingUpSeconds = (performance.now() - beganMs) / 1000;
  const { sandboxes } = processesOf(service);
  const sizes = [...sandboxes.values()].map((pids) => pids.reduce((total, pid) => total + pssBytes(pid), 0));
  const run = await service.prepare(workloads[0] as (typeof workloads)[number]);
  return { comingUpSeconds, pssBytes: median(sizes), result: await burst(run, count) };
}
