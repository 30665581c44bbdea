import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownerPrefix, type ServiceIdentity } from './processes.js';

/** `/proc` counts in hundredths of a second. */
const ticksPerSecond = 100;

/** CPU seconds that all processes of this machine, and the kernel, have used so far. */
export function machineCpuSeconds(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  return (user + nice + system + irq + softirq) / ticksPerSecond;
}

/** CPU seconds of the main thread of a process, and of all its other threads together, those that ended too. */
export function threadCpuSeconds(pid: number): { readonly main: number; readonly others: number } {
  const main = cpuSecondsIn(`/proc/${pid}/task/${pid}/stat`);
  return { main, others: cpuSecondsIn(`/proc/${pid}/stat`) - main };
}

function cpuSecondsIn(path: string): number {
  // The name of the program stands in parentheses and may hold anything.
  const fields = readFileSync(path, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** CPU seconds of processes in cgroups, those that have ended too. */
export interface CgroupCpu {
  /** Of zygotes, until what they fork has joined a cgroup of its own. */
  readonly zygotes: number;
  /** Of sandboxes, and of runtimes from the moment when they have joined a sandbox's cgroup. */
  readonly sandboxes: number;
}

/** With docker it is what all containers of the engine have used, whosever they are. */
export function cgroupCpuSeconds(service: ServiceIdentity): CgroupCpu {
  if (service.backend === 'docker') {
    const tree = cpuTrees.map((root) => join(root, 'docker')).find((path) => existsSync(path));
    return { zygotes: 0, sandboxes: tree === undefined ? 0 : usageOf(tree) };
  }
  const parents = cpuTrees.flatMap((root) => childrenOf(join(root, 'python-executor'), ownerPrefix(service)));
  const zygotes = sum(parents.flatMap((parent) => childrenOf(parent, 'z')).map(usageOf));
  return { zygotes, sandboxes: sum(parents.map(usageOf)) - zygotes };
}

/** Where either version counts CPU time. */
const cpuTrees = ['/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup'];

function childrenOf(directory: string, prefix: string): string[] {
  if (!existsSync(directory)) return [];
  const entries = readdirSync(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(prefix))
    .map(({ name }) => join(directory, name));
}

function usageOf(directory: string): number {
  const nanoseconds = join(directory, 'cpuacct.usage');
  if (existsSync(nanoseconds)) return Number(readFileSync(nanoseconds, 'utf8')) / 1e9;
  const microseconds = /^usage_usec (\d+)/m.exec(readFileSync(join(directory, 'cpu.stat'), 'utf8'))?.[1];
  return Number(microseconds ?? 0) / 1e6;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
