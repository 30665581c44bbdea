import { parseArgs } from 'node:util';
import { barePython, dockerRun } from './command.js';
import { dockerWorks } from './engine.js';
import { closedLoop } from './loops.js';
import { measureBurst } from './parts/burst.js';
import { measureClosed, measureReferencesClosed } from './parts/closed.js';
import { measureCpu } from './parts/cpu.js';
import { measureLatency, measureReferenceLatency } from './parts/latency.js';
import { measureMemory } from './parts/memory.js';
import { measureOpen } from './parts/open.js';
import type { Extra, Part, Settings } from './parts/part.js';
import { render, save } from './report.js';
import type { Row } from './row.js';
import { type ServiceTarget, startServiceTarget } from './service.js';
import { type Way, ways, waysNamed } from './ways.js';
import { type Workload, workloads } from './workloads.js';

/** In this order: those that want a pool that has had few clients come before those that have many. */
const parts: Readonly<Record<string, Part>> = {
  memory: measureMemory,
  latency: measureLatency,
  burst: measureBurst,
  cpu: measureCpu,
  open: measureOpen,
  closed: measureClosed,
};

const usage = `npm run bench -- [options]

  --targets a,b     ways of the service; default: all of
                    ${ways.map(({ name }) => name).join(',\n                    ')}
  --only a,b        parts: ${Object.keys(parts).join(', ')}; default: all
  --workloads a,b   of ${workloads.map(({ name }) => name).join('; ')};
                    the first is that of the loops; default: all
  --rounds N        turns of bare Python and service, in latency, burst and closed (default 3)
  --seconds N       length of every closed loop, over all its rounds; open loops are twice as long (default 2)
  --save            write JSON and a dated table to bench/results

As root, for oci. The whole takes about a quarter of an hour.
`;

const { values } = parseArgs({
  options: {
    targets: { type: 'string' },
    only: { type: 'string' },
    workloads: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    save: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(usage);
else await main();

async function main(): Promise<void> {
  const settings = { ...readSettings(), note };
  const wanted = values.targets === undefined ? ways : waysNamed(values.targets.split(','));
  const names = values.only?.split(',') ?? Object.keys(parts);
  const unknown = names.filter((name) => parts[name] === undefined);
  if (unknown.length > 0) throw new Error(`Cannot measure ${JSON.stringify(unknown)}: there is no such part`);
  const engine = dockerWorks() ? 'engine' : 'none';
  const report = {
    beganAt: new Date(),
    options: process.argv
      .slice(2)
      .filter((word) => word !== '--save')
      .join(' '),
  };
  const [rows, extras, omitted]: [Row[], Extra[], string[]] = [[], [], []];
  if (names.includes('latency')) rows.push(...(await measureReferenceLatency(engine, settings)));
  if (names.includes('closed')) rows.push(...(await measureReferencesClosed(engine, settings)));
  for (const way of wanted) {
    const failure = await withService(way, async (service) => {
      await warmUp(service, way, settings);
      for (const [name, measure] of Object.entries(parts)) {
        if (!names.includes(name)) continue;
        const found = await measure(service, way, settings);
        rows.push(...(found.rows ?? []));
        extras.push(...(found.extras ?? []));
      }
    });
    if (failure !== undefined) omitted.push(failure);
  }
  await Promise.all([barePython.close(), dockerRun.close()]);
  const whole = { ...report, rows, extras, omitted };
  process.stdout.write(`${render(whole)}\n`);
  if (values.save) save(whole);
}

function readSettings(): Omit<Settings, 'note'> {
  const asked = values.workloads?.split(',');
  const chosen = asked === undefined ? workloads : workloads.filter(({ name }) => asked.includes(name));
  if (chosen.length === 0) throw new Error(`Cannot measure workloads "${values.workloads}": there are none such`);
  return { rounds: Number(values.rounds), seconds: Number(values.seconds), workloads: chosen };
}

/** Node compiles the service's code as it goes, and engines have caches. */
async function warmUp(service: ServiceTarget, { name, pace }: Way, settings: Settings): Promise<void> {
  settings.note(`warm-up: ${name}`);
  const run = await service.prepare(settings.workloads[0] as Workload);
  const runs = pace === 'slow' ? 20 : 200;
  const { firstError } = await closedLoop(run, { clients: 4, seconds: 0, runsMin: runs });
  if (firstError !== undefined) throw new Error(firstError);
  await service.rest();
}

/** Runs `body` with the service; returns why it could not or did not come to its end. */
async function withService(way: Way, body: (service: ServiceTarget) => Promise<unknown>): Promise<string | undefined> {
  let service: ServiceTarget | undefined;
  try {
    service = await startServiceTarget(way.name, way.env);
    await body(service);
    return undefined;
  } catch (error) {
    const reason = `${way.name}: ${String(error).split('\n')[0]?.slice(0, 300)}`;
    note(reason);
    return reason;
  } finally {
    await service?.close();
  }
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
