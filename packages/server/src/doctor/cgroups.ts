import { constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Hierarchy, readHierarchy } from '../sandbox/oci/cgroup/hierarchy.js';
import { type Check, fail, ok, warn } from './check.js';
import { messageOf } from './probe.js';

export async function checkCgroups(): Promise<Check> {
  const name = 'oci cgroups';
  try {
    const hierarchy = readHierarchy();
    const directories = hierarchy.version === 2 ? [hierarchy.root] : Object.values(hierarchy.limiting);
    // Who is not root has heard that already.
    if (process.getuid?.() === 0) for (const directory of directories) await access(directory, constants.W_OK);
    return ok(name, describe(hierarchy));
  } catch (error) {
    const remedy =
      'boot with the controllers memory, pids and cpu (cgroup_enable=memory); in a container: mount /sys/fs/cgroup writable';
    return fail(name, messageOf(error), remedy);
  }
}

function describe(hierarchy: Hierarchy): string {
  if (hierarchy.version === 1) {
    const beside = hierarchy.stray === undefined ? '' : '; version 2 beside it is hidden from runtimes';
    return `version 1 with ${Object.keys(hierarchy.limiting).join(', ')}${beside}`;
  }
  const controllers = readFileSync(join(hierarchy.root, 'cgroup.controllers'), 'utf8').trim().split(/\s+/);
  return `version 2 with ${controllers.join(', ')}`;
}

export async function checkSwap(): Promise<Check> {
  const name = 'oci swap';
  const isLimited = isSwapLimited(readHierarchy());
  if (isLimited === true) return ok(name, 'memory limits cover swap');
  const hasSwap = (await readFile('/proc/swaps', 'utf8')).trim().split('\n').length > 1;
  if (isLimited === undefined) {
    return ok(name, hasSwap ? 'memory limits cover it unless the kernel has swapaccount=0' : 'this machine has none');
  }
  if (!hasSwap) return ok(name, 'memory limits do not cover swap, and this machine has none');
  const remedy = 'boot the kernel with swapaccount=1, or turn swap off: swapoff -a';
  return warn(name, 'memory limits do not cover swap: a program may use swap beyond its limit', remedy);
}

/** Undefined where no cgroup has a memory limit yet: the root of version 2, unless it is that of a container, has none. */
function isSwapLimited(hierarchy: Hierarchy): boolean | undefined {
  if (hierarchy.version === 1) return existsSync(join(hierarchy.limiting.memory, 'memory.memsw.limit_in_bytes'));
  const below = readdirSync(hierarchy.root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const limited = [hierarchy.root, ...below.map(({ name }) => join(hierarchy.root, name))].filter((directory) =>
    existsSync(join(directory, 'memory.max')),
  );
  return limited.length === 0 ? undefined : limited.some((directory) => existsSync(join(directory, 'memory.swap.max')));
}
