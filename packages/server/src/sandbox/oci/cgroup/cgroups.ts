import type { Measured } from '../../../jobs/ports.js';
import type { Hierarchy } from './hierarchy.js';
import { createVersion1 } from './version1.js';
import { createVersion2 } from './version2.js';

export interface CgroupLimits {
  /** Memory and swap together. */
  readonly memoryBytes: number;
  /** In the unit of version 1: 2 to 262,144, of which 1,024 is usual. */
  readonly cpuShares: number;
  readonly processesMax: number;
}

/** The cgroup of one sandbox. Everything is synchronous: these files answer in microseconds. */
export interface Cgroup {
  /** A process that writes 0 into each of these has joined, alone and before it does anything else. */
  readonly joinFiles: readonly string[];
  /** Where a runtime that insists on a cgroup of its own may make one below this, as OCI's `cgroupsPath`. */
  readonly runtimePath: string;
  /** Undefined once the cgroup is removed. */
  measure(): Measured | undefined;
  /** Private memory of the process in it that has most; 0 when there is none. */
  largestProcessBytes(): number;
  /** The part of {@link measure} that tells of CPU time. */
  cpuMs(): number | undefined;
  /**
   * Kills every process in it, and below, but for `except`. Some may take a moment to be gone.
   *
   * @returns how many there were
   */
  kill(except?: number): number;
  /** @throws Error while a process is in it */
  remove(): void;
}

/** Who is in a cgroup: processes that join it, or a runtime that makes another one below. */
export type CgroupUse = 'processes' | 'runtime';

/** The cgroups of one server, below one directory of its own. */
export interface Cgroups {
  /**
   * @param name one path component
   * @throws Error when the kernel refuses; nothing is left then
   */
  create(name: string, limits: CgroupLimits, use: CgroupUse): Cgroup;
  /** Every cgroup that is there, whoever made it. */
  list(): readonly Cgroup[];
  /** Removes the directory itself. @throws Error while there is a cgroup in it */
  remove(): void;
}

/** The directory below which all servers of a machine keep their cgroups. */
export const cgroupParent = 'python-executor';

/** The name of the cgroup that a runtime may make. */
export const runtimeChild = 'runtime';

/** @param name one path component, which no other server uses */
export function openCgroups(hierarchy: Hierarchy, name: string): Cgroups {
  return hierarchy.version === 1 ? createVersion1(hierarchy, name) : createVersion2(hierarchy.root, name);
}
