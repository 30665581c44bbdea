import { closedLoop, openLoop } from '../loops.js';
import { type Row, rowOf } from '../row.js';
import type { Workload } from '../workloads.js';
import type { Part } from './part.js';

const part = 'open loop';
const clients = 8;

/** Requests at half and at nine tenths of what a closed loop of 8 achieves, timed from when each was due. */
export const measureOpen: Part = async (service, way, settings) => {
  const workload = settings.workloads[0] as Workload;
  const run = await service.prepare(workload);
  const { seconds } = settings;
  const leadRuns = way.temperature === 'warm' ? 2 * clients : 0;
  const { runsPerSecond: capacity } = await closedLoop(run, { clients, seconds, leadRuns });
  const rows: Row[] = [];
  for (const share of [0.5, 0.9]) {
    settings.note(`open loop: ${way.name}: ${share * 100} %`);
    await service.rest();
    const runsPerSecond = capacity * share;
    const load = `${share * 100} %: ${runsPerSecond.toFixed(1)}/s`;
    // Twice as long: of few runs the quantiles mean little.
    const result = await openLoop(run, { runsPerSecond, seconds: 2 * seconds });
    rows.push(rowOf({ part, target: way.name, workload, load }, result));
  }
  return { rows };
};
