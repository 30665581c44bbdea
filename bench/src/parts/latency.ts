import { barePython, dockerRun } from '../command.js';
import { closedLoop, type LoopResult, merge } from '../loops.js';
import { type Row, type RowHead, ratiosOf, rowOf } from '../row.js';
import type { Target } from '../target.js';
import type { Workload } from '../workloads.js';
import type { Part, Settings } from './part.js';

export const latencyPart = 'one at a time';

/** Of one round of one target. */
const secondsMax = 0.3;
const runsMax = 20;
const runsMin = 3;

/**
 * One at a time, each when the pool is full and nothing is being made: what a run costs, not what making its sandbox
 * does, which the loops show. Bare Python takes turns with the service, so that drift of the machine hits both.
 */
export const measureLatency: Part = async (service, way, settings) => {
  const rows: Row[] = [];
  for (const workload of settings.workloads) {
    settings.note(`latency: ${way.name}: ${workload.name}`);
    const [results, bare] = await interleave([service, barePython], workload, settings);
    const head = { part: latencyPart, target: way.name, workload, load: '1' };
    rows.push(rowWithoutPauses(head, results, bare));
  }
  return { rows };
};

/** The same of bare Python, and of `docker run` if there is an engine. */
export async function measureReferenceLatency(engine: 'engine' | 'none', settings: Settings): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const workload of settings.workloads) {
    settings.note(`latency: references: ${workload.name}`);
    const targets = engine === 'engine' ? [barePython, dockerRun] : [barePython];
    const samples = await interleave(targets, workload, settings);
    for (const [index, { name: target }] of targets.entries()) {
      const head = { part: latencyPart, target, workload, load: '1' };
      const results = samples[index] ?? [];
      rows.push(rowWithoutPauses(head, results, index === 0 ? undefined : samples[0]));
    }
  }
  return rows;
}

/** Between its runs a service comes to rest, which is no time of a run. */
function rowWithoutPauses(head: RowHead, results: readonly LoopResult[], bare?: readonly LoopResult[]): Row {
  const merged = merge(results);
  const seconds = merged.latenciesMs.reduce((total, latencyMs) => total + latencyMs, 0) / 1000;
  const row = rowOf(head, { ...merged, runsPerSecond: merged.latenciesMs.length / seconds });
  const { p50ToBare } = bare === undefined ? {} : ratiosOf(results, bare);
  return { ...row, ...(p50ToBare !== undefined && { p50ToBare }) };
}

async function interleave(
  targets: readonly Target[],
  workload: Workload,
  { rounds }: Settings,
): Promise<[LoopResult[], LoopResult[]]> {
  const prepared = await Promise.all(
    targets.map(async ({ prepare, rest }) => ({ run: await prepare(workload), rest, results: [] as LoopResult[] })),
  );
  for (const { run } of prepared) await run();
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, rest, results } of prepared) {
      await rest?.();
      results.push(await closedLoop(run, { clients: 1, seconds: secondsMax, runsMin, runsMax, rest }));
    }
  }
  return [prepared[0]?.results ?? [], prepared[1]?.results ?? []];
}
