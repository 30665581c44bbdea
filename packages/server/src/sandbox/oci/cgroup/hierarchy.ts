import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SandboxError } from '../../../jobs/ports.js';

/** Where the kernel's cgroup trees are mounted. */
export type Hierarchy =
  | {
      readonly version: 1;
      /** Trees in which a sandbox gets limits, each once. */
      readonly limiting: Readonly<Record<Controller, string>>;
      /** Every tree: a runtime may make directories in any of them. */
      readonly all: readonly string[];
      /** A version 2 tree beside them that holds on to a controller; some runtimes refuse to work then. */
      readonly stray: string | undefined;
    }
  | { readonly version: 2; readonly root: string };

const controllers = ['memory', 'pids', 'cpu', 'cpuacct'] as const;
type Controller = (typeof controllers)[number];

/**
 * Finds out how cgroups are mounted here: the single tree of version 2 when it has the controllers, else those of
 * version 1.
 *
 * @throws SandboxError `engine_unavailable` when a controller that limits take is nowhere
 */
export function readHierarchy(mountInfo: string = readFileSync('/proc/self/mountinfo', 'utf8')): Hierarchy {
  const mounts = mountInfo.split('\n').flatMap(parseMount);
  const unified = mounts.find((mount) => mount.type === 'cgroup2')?.path;
  const unifiedControllers = unified === undefined ? [] : readControllers(unified);
  if (unified !== undefined && ['memory', 'pids', 'cpu'].every((name) => unifiedControllers.includes(name))) {
    return { version: 2, root: unified };
  }
  const trees = mounts.filter((mount) => mount.type === 'cgroup');
  const find = (name: Controller): string => {
    const tree = trees.find((mount) => mount.options.includes(name));
    if (tree !== undefined) return tree.path;
    throw new SandboxError('engine_unavailable', `Cannot limit sandboxes: there is no cgroup controller "${name}"`);
  };
  return {
    version: 1,
    limiting: { memory: find('memory'), pids: find('pids'), cpu: find('cpu'), cpuacct: find('cpuacct') },
    all: [...new Set(trees.map((mount) => mount.path))],
    stray: unifiedControllers.length > 0 ? unified : undefined,
  };
}

interface Mount {
  readonly path: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** A line is `id parent device root path options … - type source options`. */
function parseMount(line: string): readonly Mount[] {
  const [before = '', after = ''] = line.split(' - ');
  const path = before.split(' ')[4];
  const [type = '', , options = ''] = after.split(' ');
  return path === undefined ? [] : [{ path: decodeOctal(path), type, options: options.split(',') }];
}

/** White space and backslashes stand there as octal numbers. */
function decodeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function readControllers(root: string): readonly string[] {
  return readFileSync(join(root, 'cgroup.controllers'), 'utf8').split(/\s+/).filter(Boolean);
}
