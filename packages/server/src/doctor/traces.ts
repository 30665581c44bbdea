import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupParent } from '../sandbox/oci/cgroup/cgroups.js';
import { type Hierarchy, readHierarchy } from '../sandbox/oci/cgroup/hierarchy.js';
import { ownerDirectory } from '../sandbox/oci/instance.js';

/**
 * Remembers which of the directories that backends share were not there.
 *
 * @returns what removes those again, unless somebody uses them by then
 */
export function rememberTraces(options: {
  readonly runtimeDir: string;
  readonly ownerId: string;
}): () => Promise<void> {
  const shared = [options.runtimeDir, ...cgroupTrees().map((tree) => join(tree, cgroupParent))];
  const absent = shared.filter((path) => !existsSync(path));
  return async () => {
    for (const path of [ownerDirectory(options.runtimeDir, options.ownerId), ...absent])
      await rmdir(path).catch(() => {});
  };
}

function cgroupTrees(): readonly string[] {
  try {
    const hierarchy: Hierarchy = readHierarchy();
    return hierarchy.version === 2 ? [hierarchy.root] : hierarchy.all;
  } catch {
    return [];
  }
}
