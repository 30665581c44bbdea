import { openCgroups } from './cgroup/cgroups.js';
import { readHierarchy } from './cgroup/hierarchy.js';
import { listDeadInstances, removeInstance } from './instance.js';
import { removeCgroup } from './sandbox.js';

/**
 * Removes what earlier starts of a server left: their processes, cgroups and directories. Their mounts went with them.
 *
 * @returns how many sandboxes there were
 */
export async function reapInstances(options: {
  readonly runtimeDir: string;
  readonly ownerId: string;
}): Promise<number> {
  let count = 0;
  for (const { name, directory } of await listDeadInstances(options.runtimeDir, options.ownerId)) {
    const cgroups = openCgroups(readHierarchy(), name);
    const left = cgroups.list();
    await Promise.all(left.map(removeCgroup));
    cgroups.remove();
    await removeInstance(directory);
    count += left.length;
  }
  return count;
}
