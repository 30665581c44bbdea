import { burst, closedLoop, type LoopResult, merge } from '../loops.js';
import { rowOf } from '../row.js';
import { startServiceTarget } from '../service.js';
import { quantile } from '../statistics.js';
import { coldOf, type Way } from '../ways.js';
import type { Workload } from '../workloads.js';
import type { Part, Settings } from './part.js';

const title = 'burst: three times the pool at once';
const head = ['way', 'waiting', 'requests', 'errors', 'p50 ms', 'p99 ms', 'max ms', 'p50 ms of a cold start'];
const factor = 3;

/** More requests at one moment than there are sandboxes, beside one request when there is none. */
export const measureBurst: Part = async (service, way, settings) => {
  if (way.temperature === 'cold') return {};
  const workload = settings.workloads[0] as Workload;
  settings.note(`burst: ${way.name}`);
  const run = await service.prepare(workload);
  const results: LoopResult[] = [];
  await service.rest();
  const { ready } = (await service.state()).pool;
  for (let round = 0; round < (way.pace === 'slow' ? 1 : settings.rounds); round += 1) {
    await service.rest();
    results.push(await burst(run, factor * ready));
  }
  const result = merge(results);
  const cold = await coldStarts(way, workload, settings);
  const times = [0.5, 0.99, 1].map((share) => quantile(result.latenciesMs, share).toFixed(1));
  const requests = `${results.length} × ${factor * ready}`;
  const cells = [way.name, String(ready), requests, String(result.errors), ...times, cold.toFixed(1)];
  const load = `${factor * ready} at once`;
  return {
    rows: [rowOf({ part: 'burst', target: way.name, workload, load }, result)],
    extras: [{ title, head, cells }],
  };
};

/** Median of a request to a service without a pool that is at rest, ms. */
async function coldStarts(way: Way, workload: Workload, { note }: Settings): Promise<number> {
  const cold = coldOf(way);
  note(`burst: ${cold.name}, for comparison`);
  const service = await startServiceTarget(cold.name, cold.env);
  try {
    const run = await service.prepare(workload);
    const runs = way.pace === 'slow' ? 5 : 20;
    const { latenciesMs } = await closedLoop(run, { clients: 1, seconds: 0, runsMin: runs, leadRuns: runs });
    return quantile(latenciesMs, 0.5);
  } finally {
    await service.close();
  }
}
