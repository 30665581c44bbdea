import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { containersOf } from './engine.js';

/** What tells a service's processes, cgroups and files from those of others. */
export interface ServiceIdentity {
  readonly pid: number;
  readonly backend: 'docker' | 'oci';
  readonly ownerId: string;
  readonly dataDir: string;
}

/** Processes that a service brought about, as this machine numbers them. */
export interface ServiceProcesses {
  /** By the id of the sandbox. What a runtime keeps in a sandbox's cgroup to watch over it is among them. */
  readonly sandboxes: ReadonlyMap<string, readonly number[]>;
  /** Zygotes, and what runtimes keep to watch over them. */
  readonly zygotes: readonly number[];
  /** The server, and what it started that is in none of those cgroups. */
  readonly server: readonly number[];
}

const zygoteId = /^z[0-9a-f]{14}$/;

/** How the directories of one server below the runtime directory, and below the parent of its cgroups, begin. */
export function ownerPrefix({ ownerId }: Pick<ServiceIdentity, 'ownerId'>): string {
  return createHash('sha256').update(ownerId).digest('hex').slice(0, 12);
}

export function processesOf(service: ServiceIdentity): ServiceProcesses {
  const idIn = service.backend === 'oci' ? cgroupPattern(service) : containerPattern(service);
  const sandboxes = new Map<string, number[]>();
  const zygotes: number[] = [];
  const outside = new Map<number, number>();
  for (const { pid, parent, cgroups } of allProcesses()) {
    const id = idIn?.exec(cgroups)?.[1];
    if (id === undefined) outside.set(pid, parent);
    else if (zygoteId.test(id)) zygotes.push(pid);
    else sandboxes.set(id, [...(sandboxes.get(id) ?? []), pid]);
  }
  return { sandboxes, zygotes, server: descendantsOf(service.pid, outside) };
}

function cgroupPattern(service: ServiceIdentity): RegExp {
  return new RegExp(`/${ownerPrefix(service)}\\.[0-9a-f]+/(z[0-9a-f]{14}|[0-9a-f]{16})(?:/|$)`, 'm');
}

function containerPattern(service: ServiceIdentity): RegExp | undefined {
  const ids = containersOf(service.ownerId);
  return ids.length === 0 ? undefined : new RegExp(`(${ids.join('|')})`);
}

function allProcesses(): { readonly pid: number; readonly parent: number; readonly cgroups: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The name of the program stands in parentheses and may hold anything.
        const [, parent] = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
        return [{ pid: Number(name), parent: Number(parent), cgroups: readFileSync(`/proc/${name}/cgroup`, 'latin1') }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

function descendantsOf(root: number, parents: ReadonlyMap<number, number>): readonly number[] {
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isBelow(parents.get(pid)));
  return [...parents.keys()].filter(isBelow);
}

/** Proportional set size, bytes; 0 when the process has ended. Needs root. */
export function pssBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Names a namespace of a process, e.g. `pid:[4026531836]`; undefined when the process has ended. */
export function namespaceOf(pid: number | 'self', kind: 'pid' | 'net'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}
