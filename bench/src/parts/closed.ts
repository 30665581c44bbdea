import { barePython, dockerRun } from '../command.js';
import { type ClosedLoopLimits, closedLoop, type LoopResult, merge } from '../loops.js';
import { type Row, ratiosOf, rowOf } from '../row.js';
import type { Run } from '../target.js';
import { poolMax, type Way } from '../ways.js';
import type { Workload } from '../workloads.js';
import type { Part, Settings } from './part.js';

const part = 'closed loop';
const loads = [1, 4, 8, 16, 64];

/** A number of clients, of the service and of bare Python in turns, under the same load. */
export const measureClosed: Part = async (service, way, settings) => {
  const workload = settings.workloads[0] as Workload;
  const [run, bareRun] = [await service.prepare(workload), await barePython.prepare(workload)];
  const rows: Row[] = [];
  for (const clients of loads) {
    settings.note(`closed loop: ${way.name}: ${clients} clients`);
    const rounds = way.pace === 'slow' ? 1 : settings.rounds;
    const seconds = settings.seconds / rounds;
    const [results, bare]: [LoopResult[], LoopResult[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      bare.push(await closedLoop(bareRun, limitsOf(clients, seconds)));
      results.push(await closedLoop(run, { ...limitsOf(clients, seconds), leadRuns: leadOf(way, clients) }));
      // The pool fills up again, which is not to fall upon bare Python.
      await service.rest();
    }
    const head = { part, target: way.name, workload, load: String(clients) };
    rows.push({ ...rowOf(head, merge(results)), ...ratiosOf(results, bare) });
  }
  return { rows };
};

/** The same of bare Python, and of `docker run` if there is an engine. */
export async function measureReferencesClosed(engine: 'engine' | 'none', settings: Settings): Promise<readonly Row[]> {
  const workload = settings.workloads[0] as Workload;
  const rows: Row[] = [];
  for (const target of engine === 'engine' ? [barePython, dockerRun] : [barePython]) {
    const run: Run = await target.prepare(workload);
    for (const clients of loads) {
      settings.note(`closed loop: ${target.name}: ${clients} clients`);
      const result = await closedLoop(run, limitsOf(clients, settings.seconds));
      rows.push(rowOf({ part, target: target.name, workload, load: String(clients) }, result));
    }
  }
  return rows;
}

/** Of slow ones too half of the clients have an answer. */
function limitsOf(clients: number, seconds: number): ClosedLoopLimits {
  return { clients, seconds, runsMin: Math.max(2, clients / 2) };
}

/** Until what waited is used up, and the pool lives on what is made meanwhile. */
function leadOf({ temperature, pace }: Way, clients: number): number {
  if (temperature === 'cold') return 0;
  return (pace === 'slow' ? 1 : 2) * Math.min(clients, poolMax);
}
