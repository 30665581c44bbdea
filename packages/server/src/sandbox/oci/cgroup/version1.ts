import { join } from 'node:path';
import { type Cgroup, type CgroupLimits, type Cgroups, cgroupParent, runtimeChild } from './cgroups.js';
import {
  killEach,
  listDirectories,
  makeDirectory,
  readNumber,
  readProcesses,
  removeDirectory,
  write,
  writeIfThere,
} from './directory.js';
import type { Hierarchy } from './hierarchy.js';

type Hierarchy1 = Extract<Hierarchy, { readonly version: 1 }>;

/** Cgroups of version 1: a directory of the same name in a tree for each controller. */
export function createVersion1(hierarchy: Hierarchy1, name: string): Cgroups {
  const { limiting } = hierarchy;
  const below = `${cgroupParent}/${name}`;
  const trees = [...new Set(Object.values(limiting))];
  for (const tree of trees) makeDirectory(join(tree, below));
  // Without it, what a runtime puts into a cgroup below would not count; kernels of today do not know any other way.
  writeIfThere(join(limiting.memory, below, 'memory.use_hierarchy'), 1);

  function open(child: string): Cgroup {
    return openCgroup(hierarchy, { path: `${below}/${child}`, trees });
  }

  return {
    create(child, limits) {
      const path = `${below}/${child}`;
      try {
        for (const tree of trees) makeDirectory(join(tree, path));
        limit(hierarchy, path, limits);
        return open(child);
      } catch (error) {
        for (const tree of trees) removeDirectory(join(tree, path));
        throw error;
      }
    },
    list: () => listDirectories(join(limiting.pids, below)).map(open),
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
  { path, trees }: { readonly path: string; readonly trees: readonly string[] },
): Cgroup {
  const memory = join(limiting.memory, path);
  const pids = join(limiting.pids, path);

  return {
    // By `tasks` a process moves only itself, for which the kernel need not wait until no other process forks.
    joinFiles: trees.map((tree) => join(tree, path, 'tasks')),
    runtimePath: `/${path}/${runtimeChild}`,
    measure() {
      const cpuNanoseconds = readNumber(join(limiting.cpuacct, path, 'cpuacct.usage'));
      const memoryPeakBytes = readNumber(join(memory, 'memory.max_usage_in_bytes'));
      if (cpuNanoseconds === undefined || memoryPeakBytes === undefined) return undefined;
      // Only this counter does not include what happened below.
      const kills = [memory, join(memory, runtimeChild)].map(
        (directory) => readNumber(join(directory, 'memory.oom_control'), 'oom_kill') ?? 0,
      );
      return { cpuMs: Math.round(cpuNanoseconds / 1e6), memoryPeakBytes, oomKilled: kills.some((count) => count > 0) };
    },
    processes: () => readProcesses(pids),
    kill: (except) => killEach(readProcesses(pids), except),
    remove() {
      for (const tree of all) removeDirectory(join(tree, path));
    },
  };
}
