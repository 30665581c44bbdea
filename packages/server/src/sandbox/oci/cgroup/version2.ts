import { join } from 'node:path';
import { type Cgroup, type CgroupLimits, type Cgroups, type CgroupUse, cgroupParent, runtimeChild } from './cgroups.js';
import {
  killEach,
  listDirectories,
  makeDirectory,
  moveProcesses,
  readLargestProcess,
  readNumber,
  readOwnProcesses,
  readProcesses,
  removeDirectory,
  removeEmptyDirectory,
  write,
  writeIfThere,
} from './directory.js';

const controllers = '+cpu +memory +pids';
/** How often the processes of a container's root are moved out of it before that is given up. */
const movesMax = 10;

/** Cgroups of version 2: one directory with every controller. */
export function createVersion2(root: string, name: string): Cgroups {
  const below = `${cgroupParent}/${name}`;
  makeDirectory(join(root, below));
  passOnFromRoot(root);
  passOn(join(root, cgroupParent));
  passOn(join(root, below));
  const open = (child: string, use: CgroupUse): Cgroup => openCgroup(root, `${below}/${child}`, use);

  return {
    create(child, limits, use) {
      const directory = join(root, below, child);
      try {
        makeDirectory(directory);
        limit(directory, limits);
        return open(child, use);
      } catch (error) {
        removeDirectory(directory);
        throw error;
      }
    },
    list: () => listDirectories(join(root, below)).map((child) => open(child, 'runtime')),
    remove: () => removeDirectory(join(root, below)),
  };
}

/** Lets the cgroups below a directory have controllers. */
function passOn(directory: string): void {
  write(join(directory, 'cgroup.subtree_control'), controllers);
}

/**
 * The root of a container is no true root: it passes nothing on as long as processes are in it, so they move to a cgroup
 * beside ours.
 */
function passOnFromRoot(root: string): void {
  const home = join(root, 'init');
  for (let attempt = 1; ; attempt += 1) {
    try {
      passOn(root);
      return;
    } catch (error) {
      // Some fork while the others move.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempt > movesMax) throw error;
    }
    makeDirectory(home);
    moveProcesses(root, home);
  }
}

function limit(directory: string, limits: CgroupLimits): void {
  write(join(directory, 'memory.max'), limits.memoryBytes);
  // Absent where the kernel does not account for swap.
  writeIfThere(join(directory, 'memory.swap.max'), 0);
  // The program may lose a child for memory and go on.
  writeIfThere(join(directory, 'memory.oom.group'), 0);
  write(join(directory, 'cpu.weight'), weightOfShares(limits.cpuShares));
  write(join(directory, 'pids.max'), limits.processesMax);
}

/** From 2…262,144 to 1…10,000, as OCI runtimes convert it. */
export function weightOfShares(shares: number): number {
  const clamped = Math.min(Math.max(shares, 2), 262_144);
  return Math.floor(1 + ((clamped - 2) * 9_999) / 262_142);
}

function openCgroup(root: string, path: string, use: CgroupUse): Cgroup {
  const directory = join(root, path);

  function cpuMs(): number | undefined {
    const microseconds = readNumber(join(directory, 'cpu.stat'), 'usage_usec');
    return microseconds === undefined ? undefined : Math.round(microseconds / 1000);
  }

  return {
    joinFiles: [join(directory, 'cgroup.procs')],
    runtimePath: `/${path}/${runtimeChild}`,
    measure() {
      const cpu = cpuMs();
      // Kernels before 5.19 keep no peak.
      const memoryPeakBytes =
        readNumber(join(directory, 'memory.peak')) ?? readNumber(join(directory, 'memory.current'));
      if (cpu === undefined || memoryPeakBytes === undefined) return undefined;
      const kills = readNumber(join(directory, 'memory.events'), 'oom_kill') ?? 0;
      return { cpuMs: cpu, memoryPeakBytes, oomKilled: kills > 0 };
    },
    cpuMs,
    largestProcessBytes: () => readLargestProcess(directory),
    kill(except) {
      const processIds = use === 'runtime' ? readProcesses(directory) : readOwnProcesses(directory);
      if (processIds.length === 0) return 0;
      // At once, where the kernel can (5.14) and nobody is to be spared.
      const spares = except !== undefined && processIds.includes(except);
      if (spares || !writeIfThere(join(directory, 'cgroup.kill'), 1)) return killEach(processIds, except);
      return processIds.length;
    },
    remove: () => (use === 'processes' ? removeEmptyDirectory(directory) : removeDirectory(directory)),
  };
}
