import { closedLoop } from '../loops.js';
import { cgroupCpuSeconds, machineCpuSeconds, threadCpuSeconds } from '../processor.js';
import type { ServiceTarget } from '../service.js';
import type { Workload } from '../workloads.js';
import type { Part } from './part.js';

const title = 'CPU of a run, 8 at a time, ms';
const head = [
  'way',
  'runs',
  'machine',
  'server, main thread',
  'server, other threads',
  'zygote',
  'sandboxes',
  'driver',
  'rest',
];
const clients = 8;

/**
 * Where the CPU time of a run goes. Threads are read from `/proc`, zygote and sandboxes from their cgroups, which count
 * what has ended too; a runtime counts as sandbox once it has joined a cgroup of one. The driver is this program. The
 * rest is the kernel's own work (taking down namespaces, mounts and cgroups), runtimes and engines outside of cgroups
 * of sandboxes, and whatever else the machine did.
 */
export const measureCpu: Part = async (service, way, settings) => {
  settings.note(`cpu: ${way.name}`);
  const run = await service.prepare(settings.workloads[0] as Workload);
  await closedLoop(run, { clients, seconds: 0, runsMin: way.pace === 'slow' ? clients : 4 * clients });
  const before = sample(service);
  const seconds = 2 * settings.seconds;
  let runs = 0;
  const counted = async (): Promise<void> => {
    await run();
    runs += 1;
  };
  await closedLoop(counted, { clients, seconds });
  // What the last runs have left to be done belongs to them.
  await service.rest();
  const after = sample(service);
  const perRun = (key: keyof Sample): number => ((after[key] - before[key]) / runs) * 1000;
  const keys = ['main', 'others', 'zygotes', 'sandboxes', 'driver'] as const;
  const rest = perRun('machine') - keys.reduce((total, key) => total + perRun(key), 0);
  const numbers = [perRun('machine'), ...keys.map(perRun), rest].map((value) => value.toFixed(1));
  return { extras: [{ title, head, cells: [way.name, String(runs), ...numbers] }] };
};

type Sample = ReturnType<typeof sample>;

function sample(service: ServiceTarget) {
  const { user, system } = process.cpuUsage();
  return {
    machine: machineCpuSeconds(),
    ...threadCpuSeconds(service.pid),
    ...cgroupCpuSeconds(service),
    driver: (user + system) / 1e6,
  };
}
