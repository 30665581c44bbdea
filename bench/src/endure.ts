import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Census, differences, takeCensus } from './census.js';
import { closedLoop } from './loops.js';
import type { ServiceIdentity } from './processes.js';
import { untilQuiet } from './state.js';
import { multipart, post } from './upload.js';
import { everyday } from './workloads.js';

export interface EnduranceOptions {
  readonly runs: number;
  readonly clients: number;
  /** How many sandboxes wait when the service is at rest: PYEXEC_POOL_SIZE and PYEXEC_POOL_MAX. */
  readonly poolSize: number;
  /** Hears how many runs have ended. */
  readonly onProgress?: (done: number) => void;
}

export interface Endured {
  readonly before: Census;
  readonly after: Census;
  readonly errors: number;
  readonly firstError: string | undefined;
}

/** After so many runs everything has been loaded that is loaded on first use. */
export const settlingRuns = 100;
/** How long what the last runs have left may take to go. */
const settleTimeoutMs = 20_000;
const progressEveryRuns = 100;

/** Has a service run so many programs of several kinds, and counts before and after what there is of it. */
export async function endure(
  service: ServiceIdentity & { readonly url: URL },
  { runs, clients, poolSize, onProgress = () => {} }: EnduranceOptions,
): Promise<Endured> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const prepared = await Promise.all(everyday.map(async (workload) => ({ workload, body: await multipart(workload) })));
  let [started, done] = [0, 0];
  const run = async (): Promise<void> => {
    const { body, workload } = prepared[started++ % prepared.length] as (typeof prepared)[number];
    await post(service.url, agent, body, workload);
    done += 1;
    if (done % progressEveryRuns === 0) onProgress(done);
  };
  const batch = (count: number) => closedLoop(run, { clients, seconds: 0, runsMin: count, runsMax: count });
  try {
    const first = await batch(settlingRuns);
    const before = await restingCensus(service, poolSize);
    const rest = await batch(runs - settlingRuns);
    const after = await restingCensus(service, poolSize, before);
    return { before, after, errors: first.errors + rest.errors, firstError: first.firstError ?? rest.firstError };
  } finally {
    agent.destroy();
  }
}

/** Counts until nothing moves any more: until it is as it was, or stays as it is. */
async function restingCensus(
  service: ServiceIdentity & { readonly url: URL },
  readyMin: number,
  expected?: Census,
): Promise<Census> {
  const deadlineMs = performance.now() + settleTimeoutMs;
  await untilQuiet(service.url, { readyMin });
  for (let last: Census | undefined; ; ) {
    const census = takeCensus(service);
    const isAtRest = differences(expected ?? last ?? { ...census, processes: -1 }, census).length === 0;
    if (isAtRest || performance.now() > deadlineMs) return census;
    last = census;
    await delay(500);
  }
}
