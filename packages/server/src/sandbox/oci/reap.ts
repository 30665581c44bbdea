import { openCgroups } from './cgroup/cgroups.js';
import { readHierarchy } from './cgroup/hierarchy.js';
import { listDeadInstances, removeInstance } from './instance.js';
import { removeCgroup } from './sandbox.js';

/**
 * Removes what servers left that were killed: their processes, cgroups and directories. Their mounts went with them.
 * Whose they were makes no difference, because it is certain that they are gone.
 *
 * @returns how many sandboxes there were
 */
export async function reapInstances(runtimeDir: string): Promise<number> {
  let count = 0;
  for (const { name, directory } of await listDeadInstances(runtimeDir)) {
    const cgroups = openCgroups(readHierarchy(), name);
    const left = cgroups.list();
    await Promise.all(left.map(removeCgroup));
    cgroups.remove();
    await removeInstance(directory);
    count += left.length;
  }
  return count;
}
