import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { closedLoop, type LoopResult, openLoop } from './loops.js';
import { median, quantile, sandboxPssBytes } from './measure.js';
import { table } from './table.js';
import { barePython, dockerRun, startServiceTarget, type Target } from './target.js';
import { type Workload, workloads } from './workloads.js';

const usage = `npm run bench -- [options]

  --targets a,b   which ways to run: ${Object.keys(serviceEnvironments()).join(', ')}; default: all that work here
  --rounds N      interleaved rounds of the one-at-a-time table (default 5)
  --seconds N     length of every closed and open loop (default 5)
  --only a,b      parts: latency, closed, open, memory (default: all)
  --save          write JSON and a dated table to bench/results
`;

/** The ways of the service, by name. "cold" makes every sandbox when it is asked for. */
function serviceEnvironments(): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const warm = { PYEXEC_POOL_SIZE: '8', PYEXEC_POOL_MAX: '32' };
  const cold = { PYEXEC_POOL_SIZE: '0', PYEXEC_POOL_MAX: '0' };
  const oci = (runtime: string) => ({ PYEXEC_BACKEND: 'oci', PYEXEC_RUNTIME: runtime });
  return {
    'docker cold': { PYEXEC_BACKEND: 'docker', ...cold },
    'docker warm': { PYEXEC_BACKEND: 'docker', ...warm },
    'oci crun cold': { ...oci('crun'), ...cold },
    'oci crun warm': { ...oci('crun'), ...warm },
    'oci runc cold': { ...oci('runc'), ...cold },
    'oci runc warm': { ...oci('runc'), ...warm },
    'oci runsc cold': { ...oci('runsc'), ...cold },
    'oci runsc warm': { ...oci('runsc'), ...warm },
  };
}

interface Row {
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
  readonly cpuMsPerRun: number;
  readonly ratioToBare: number;
}

const { values } = parseArgs({
  options: {
    targets: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'latency,closed,open,memory' },
    save: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(usage);
else await main();

async function main(): Promise<void> {
  const rows: Row[] = [];
  const parts = new Set(values.only.split(','));
  const names = values.targets?.split(',') ?? Object.keys(serviceEnvironments());
  const references = [barePython, ...(dockerWorks() ? [dockerRun] : [])];
  if (parts.has('latency')) rows.push(...(await latencyPart(references, names)));
  if (parts.has('closed')) rows.push(...(await closedPart(references, names)));
  if (parts.has('open')) rows.push(...(await openPart(names)));
  const memory = parts.has('memory') ? await memoryPart(names) : [];
  await Promise.all(references.map((target) => target.close()));
  report(rows, memory);
}

/** Runs `body` with the service, or says why that way does not work here. */
async function withService<Value>(name: string, body: (target: Target) => Promise<Value>): Promise<Value | undefined> {
  let target: Target;
  try {
    target = await startServiceTarget(name, serviceEnvironments()[name] ?? {});
  } catch (error) {
    note(`${name}: left out: ${String(error).split('\n')[0]}`);
    return undefined;
  }
  try {
    return await body(target);
  } catch (error) {
    note(`${name}: ${String(error).slice(0, 300)}`);
    return undefined;
  } finally {
    await target.close();
  }
}

/**
 * One at a time, each when the pool is full and nothing is being made: what a run costs, not what making its sandbox
 * does, which the loops below show. The ways take turns in every round, so that drift of the machine hits all
 * of them.
 */
async function latencyPart(references: readonly Target[], names: readonly string[]): Promise<Row[]> {
  const rounds = Number(values.rounds);
  const rows: Row[] = [];
  for (const name of names) {
    const found = await withService(name, async (service) => {
      const result: Row[] = [];
      for (const workload of workloads) {
        note(`latency: ${name}: ${workload.name}`);
        const targets = name === names[0] ? [...references, service] : [barePython, service];
        const samples = await interleave(targets, workload, rounds);
        const bare = samples.get(barePython.name) ?? [];
        for (const [target, results] of samples) {
          if (target !== service.name && name !== names[0]) continue;
          result.push(rowOf('one at a time', target, workload, '1', merge(results), ratio(results, bare)));
        }
      }
      return result;
    });
    rows.push(...(found ?? []));
  }
  return rows;
}

async function interleave(
  targets: readonly Target[],
  workload: Workload,
  rounds: number,
): Promise<Map<string, LoopResult[]>> {
  const runs = await Promise.all(targets.map((target) => target.prepare(workload)));
  for (const run of runs) await run();
  const samples = new Map<string, LoopResult[]>(targets.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, target] of targets.entries()) {
      const run = runs[index] as () => Promise<void>;
      const runsMax = target === dockerRun ? 5 : 40;
      samples.get(target.name)?.push(await closedLoop(run, { clients: 1, seconds: 10, runsMax, rest: target.rest }));
    }
  }
  return samples;
}

/** Closed loops of 1, 4, 16 and 64 clients. */
async function closedPart(references: readonly Target[], names: readonly string[]): Promise<Row[]> {
  const [print] = workloads as readonly [Workload];
  const rows: Row[] = [];
  const measure = async (target: Target): Promise<void> => {
    const run = await target.prepare(print);
    for (const clients of [1, 4, 8, 16, 64]) {
      note(`closed loop: ${target.name}: ${clients} clients`);
      const result = await closedLoop(run, { clients, seconds: Number(values.seconds), runsMax: 1e6 });
      rows.push(rowOf('closed loop', target.name, print, String(clients), result, Number.NaN));
    }
  };
  for (const target of references) await measure(target);
  for (const name of names) await withService(name, measure);
  return rows;
}

/** Open loops at half and at nine tenths of what a closed loop of 8 achieves. */
async function openPart(names: readonly string[]): Promise<Row[]> {
  const [print] = workloads as readonly [Workload];
  const rows: Row[] = [];
  const seconds = Number(values.seconds);
  for (const name of names) {
    await withService(name, async (service) => {
      const run = await service.prepare(print);
      const capacity = (await closedLoop(run, { clients: 8, seconds, runsMax: 1e6 })).runsPerSecond;
      for (const share of [0.5, 0.9]) {
        note(`open loop: ${name}: ${share * 100} %`);
        const result = await openLoop(run, { runsPerSecond: capacity * share, seconds });
        rows.push(rowOf('open loop', name, print, `${share * 100} %`, result, Number.NaN));
      }
    });
  }
  return rows;
}

/** Proportional set size of a sandbox that waits. */
async function memoryPart(names: readonly string[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const name of names.filter((candidate) => candidate.endsWith('warm'))) {
    await withService(name, async (service) => {
      const run = await service.prepare(workloads[0] as Workload);
      await run();
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const sizes = sandboxPssBytes();
      rows.push([name, String(sizes.length), `${(median(sizes) / 1024 / 1024).toFixed(1)} MB`]);
    });
  }
  return rows;
}

function rowOf(
  part: string,
  target: string,
  workload: Workload,
  load: string,
  result: LoopResult,
  toBare: number,
): Row {
  if (result.firstError !== undefined) note(`${target}: ${workload.name}: ${result.firstError}`);
  const { latenciesMs } = result;
  return {
    part,
    target,
    workload: workload.name,
    load,
    p50Ms: quantile(latenciesMs, 0.5),
    p90Ms: quantile(latenciesMs, 0.9),
    p99Ms: quantile(latenciesMs, 0.99),
    maxMs: Math.max(...latenciesMs),
    runsPerSecond: result.runsPerSecond,
    errors: result.errors,
    cpuMsPerRun: result.cpuSecondsPerRun * 1000,
    ratioToBare: toBare,
  };
}

function merge(results: readonly LoopResult[]): LoopResult {
  return {
    latenciesMs: results.flatMap(({ latenciesMs }) => latenciesMs),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
    firstError: results.find(({ firstError }) => firstError !== undefined)?.firstError,
    runsPerSecond: median(results.map(({ runsPerSecond }) => runsPerSecond)),
    cpuSecondsPerRun: median(results.map(({ cpuSecondsPerRun }) => cpuSecondsPerRun)),
  };
}

/** The median over the rounds of the ratio of the medians of one round. */
function ratio(results: readonly LoopResult[], bare: readonly LoopResult[]): number {
  const ratios = results.map(({ latenciesMs }, round) => median(latenciesMs) / median(bare[round]?.latenciesMs ?? []));
  return median(ratios);
}

function report(rows: readonly Row[], memory: readonly (readonly string[])[]): void {
  const head = [
    'way',
    'workload',
    'load',
    'p50 ms',
    'p90',
    'p99',
    'max',
    'runs/s',
    'errors',
    'CPU ms/run',
    'p50 / bare',
  ];
  const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
  const lines = [`# ${new Date().toISOString().slice(0, 16)}, commit ${commit()}`, '', machine, ''];
  for (const part of new Set(rows.map((row) => row.part))) {
    const body = rows.filter((row) => row.part === part).map(cellsOf);
    lines.push(`## ${part}`, '', table(head, body), '');
  }
  if (memory.length > 0) lines.push('## idle warm sandbox', '', table(['way', 'waiting', 'median PSS'], memory), '');
  const text = lines.join('\n');
  process.stdout.write(`${text}\n`);
  if (!values.save) return;
  const stem = `../results/${new Date().toISOString().slice(0, 10)}-${commit()}`;
  writeFileSync(fileURLToPath(new URL(`${stem}.md`, import.meta.url)), text);
  const json = JSON.stringify({ machine, commit: commit(), rows, memory }, null, 2);
  writeFileSync(fileURLToPath(new URL(`${stem}.json`, import.meta.url)), `${json}\n`);
}

function cellsOf(row: Row): string[] {
  const times = [row.p50Ms, row.p90Ms, row.p99Ms, row.maxMs].map((value) => value.toFixed(1));
  const rate = [row.runsPerSecond.toFixed(1), String(row.errors), row.cpuMsPerRun.toFixed(1)];
  const toBare = Number.isNaN(row.ratioToBare) ? '' : row.ratioToBare.toFixed(2);
  return [row.target, row.workload, row.load, ...times, ...rate, toBare];
}

function dockerWorks(): boolean {
  try {
    execFileSync('docker', ['image', 'inspect', 'python:3.11-slim'], {
      stdio: 'ignore',
      env: { ...process.env, DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41' },
    });
    return true;
  } catch {
    note('docker run: left out: no engine, or no image python:3.11-slim');
    return false;
  }
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
