import { join } from 'node:path';
import { type Cgroup, type CgroupLimits, type Cgroups, type CgroupUse, cgroupParent, runtimeChild } from './cgroups.js';
import {
  killEach,
  listDirectories,
  makeDirectory,
  readLargestProcess,
  readNumber,
  readOwnProcesses,
  readProcesses,
  removeDirectory,
  removeEmptyDirectory,
  write,
  writeIfThere,
} from './directory.js';
import type { Hierarchy } from './hierarchy.js';

type Hierarchy1 = Extract<Hierarchy, { readonly version: 1 }>;

/** Cgroups of version 1: a directory of the same name in a tree for each controller. */
export function createVersion1(hierarchy: Hierarchy1, name: string): Cgroups {
  const { limiting } = hierarchy;
  const below = `${cgroupParent}/${name}`;
  // Removing begins with the first: while a process is in it, all of them stay.
  const trees = [...new Set([limiting.pids, ...Object.values(limiting)])];
  for (const tree of trees) makeDirectory(join(tree, below));
  // Without it, what a runtime puts into a cgroup below would not count; kernels of today do not know any other way.
  writeIfThere(join(limiting.memory, below, 'memory.use_hierarchy'), 1);

  function open(child: string, use: CgroupUse): Cgroup {
    return openCgroup(hierarchy, { path: `${below}/${child}`, trees, use });
  }

  return {
    create(child, limits, use) {
      const path = `${below}/${child}`;
      try {
        for (const tree of trees) makeDirectory(join(tree, path));
        limit(hierarchy, path, limits);
        return open(child, use);
      } catch (error) {
        for (const tree of trees) removeDirectory(join(tree, path));
        throw error;
      }
    },
    list: () => listDirectories(join(limiting.pids, below)).map((child) => open(child, 'runtime')),
    remove() {
      for (const tree of hierarchy.all) removeDirectory(join(tree, below));
    },
  };
}

function limit({ limiting }: Hierarchy1, path: string, limits: CgroupLimits): void {
  const memory = join(limiting.memory, path);
  write(join(memory, 'memory.limit_in_bytes'), limits.memoryBytes);
  // Where the kernel does not account for swap, the sandbox at least is the last to be swapped out.
  const noSwap = writeIfThere(join(memory, 'memory.memsw.limit_in_bytes'), limits.memoryBytes);
  if (!noSwap) writeIfThere(join(memory, 'memory.swappiness'), 0);
  write(join(limiting.cpu, path, 'cpu.shares'), limits.cpuShares);
  write(join(limiting.pids, path, 'pids.max'), limits.processesMax);
}

function openCgroup(
  { limiting, all }: Hierarchy1,
  { path, trees, use }: { readonly path: string; readonly trees: readonly string[]; readonly use: CgroupUse },
): Cgroup {
  const memory = join(limiting.memory, path);
  const pids = join(limiting.pids, path);
  const usage = join(limiting.cpuacct, path, 'cpuacct.usage');
  // Only this counter does not include what happened below.
  const killCounters = (use === 'runtime' ? [memory, join(memory, runtimeChild)] : [memory]).map((directory) =>
    join(directory, 'memory.oom_control'),
  );

  function cpuMs(): number | undefined {
    const nanoseconds = readNumber(usage);
    return nanoseconds === undefined ? undefined : Math.round(nanoseconds / 1e6);
  }

  return {
    // By `tasks` a process moves only itself, for which the kernel need not wait until no other process forks.
    joinFiles: trees.map((tree) => join(tree, path, 'tasks')),
    runtimePath: `/${path}/${runtimeChild}`,
    measure() {
      const cpu = cpuMs();
      const memoryPeakBytes = readNumber(join(memory, 'memory.max_usage_in_bytes'));
      if (cpu === undefined || memoryPeakBytes === undefined) return undefined;
      const oomKilled = killCounters.some((file) => (readNumber(file, 'oom_kill') ?? 0) > 0);
      return { cpuMs: cpu, memoryPeakBytes, oomKilled };
    },
    cpuMs,
    largestProcessBytes: () => readLargestProcess(pids),
    kill: (except) => killEach(use === 'runtime' ? readProcesses(pids) : readOwnProcesses(pids), except),
    remove() {
      if (use === 'processes') for (const tree of trees) removeEmptyDirectory(join(tree, path));
      else for (const tree of all) removeDirectory(join(tree, path));
    },
  };
}
