import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { containersOf, dockerLines } from './engine.js';
import { namespaceOf, ownerPrefix, processesOf, type ServiceIdentity } from './processes.js';

/** Everything of which a service could leave something behind, counted. */
export type Census = Readonly<Record<Item, number>>;

export type Item = keyof typeof slacks;

/**
 * By how much two counts of a service at rest may differ. Connections that are kept alive come and go, and so do the
 * threads and arenas that a process has for its memory; of everything else there is exactly what waiting sandboxes need.
 */
export const slacks = {
  openFiles: 16,
  residentBytes: 64 * 1024 * 1024,
  sandboxes: 0,
  processes: 0,
  networkNamespaces: 0,
  cgroups: 0,
  hostMounts: 0,
  serverMounts: 0,
  runtimeFiles: 0,
  spoolFiles: 0,
} as const;

/** Of these only growth matters. */
const mayShrink: readonly Item[] = ['residentBytes'];

/** Counts what there is of a service now. What belongs to others is left out as far as it can be told. */
export function takeCensus(service: ServiceIdentity, runtimeDir = '/run/python-executor'): Census {
  const { sandboxes, zygotes, server } = processesOf(service);
  const pids = [...[...sandboxes.values()].flat(), ...zygotes, ...server];
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
  return {
    openFiles: readdirSync(`/proc/${service.pid}/fd`).length,
    residentBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024,
    sandboxes: sandboxes.size,
    processes: pids.length,
    networkNamespaces: new Set(pids.map((pid) => namespaceOf(pid, 'net')).filter((name) => name !== undefined)).size,
    cgroups: service.backend === 'oci' ? cgroupsOf(service).length : engineCgroups(service),
    hostMounts: mountsOf(1, service),
    serverMounts: mountsOf(service.pid, service),
    runtimeFiles: entriesBelow(join(runtimeDir, ownerPrefix(service))),
    spoolFiles: entriesBelow(join(service.dataDir, 'spool')),
  };
}

/** What differs by more than its slack. */
export function differences(before: Census, after: Census): readonly Item[] {
  return (Object.keys(slacks) as Item[]).filter((item) => {
    const growth = after[item] - before[item];
    return (mayShrink.includes(item) ? growth : Math.abs(growth)) > slacks[item];
  });
}

/** Paths of the cgroups of a service without an engine, in every tree of either version. */
export function cgroupsOf(service: Pick<ServiceIdentity, 'ownerId'>): readonly string[] {
  const prefix = ownerPrefix(service);
  const parents = cgroupTrees().flatMap((tree) => {
    const directory = join(tree, 'python-executor');
    const names = existsSync(directory) ? readdirSync(directory) : [];
    return names.filter((name) => name.startsWith(prefix)).map((name) => join(directory, name));
  });
  return [...parents, ...parents.flatMap(directoriesBelow)];
}

function cgroupTrees(): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const paths = lines.filter((line) => / - cgroup2? /.test(line)).map((line) => line.split(' ')[4] ?? '');
  return [...new Set(paths)];
}

/** Those of our containers, and those of containers that the engine does not know any more. */
function engineCgroups(service: ServiceIdentity): number {
  const names = cgroupTrees().flatMap((tree) => [join(tree, 'docker'), join(tree, 'system.slice')]);
  const directories = names.filter((path) => existsSync(path)).flatMap((path) => readdirSync(path));
  const ids = directories.flatMap((name) => /[0-9a-f]{64}/.exec(name) ?? []);
  const own = containersOf(service.ownerId);
  const foreign = new Set(dockerLines('ps', '--all', '--quiet', '--no-trunc').filter((id) => !own.includes(id)));
  return ids.filter((id) => !foreign.has(id)).length;
}

/** An engine's own mounts are those of whoever uses it. */
function mountsOf(pid: number, { backend }: ServiceIdentity): number {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  return backend === 'docker' ? lines.length : lines.filter((line) => !/docker|containerd/.test(line)).length;
}

function directoriesBelow(path: string): readonly string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const paths = entries.map(({ name }) => join(path, name));
    return [...paths, ...paths.flatMap(directoriesBelow)];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // It was removed meanwhile.
    return [];
  }
}

function entriesBelow(path: string): number {
  return existsSync(path) ? readdirSync(path, { recursive: true }).length : 0;
}
