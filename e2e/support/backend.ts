import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { docker, linesOf } from './engine.js';
import { testBackend } from './service.js';

/** What a test can see of a backend from outside. */
export interface BackendView {
  /** Ids of the sandboxes of the service with this owner id, those that wait included. */
  sandboxes(ownerId: string): Promise<readonly string[]>;
  /** What is known of each of them, for whoever looks into a failure. */
  describe(ownerId: string): Promise<string>;
  /** Names of what no sandbox uses any more and is there still: volumes, cgroups. */
  traces(): Promise<readonly string[]>;
}

const dockerView: BackendView = {
  async sandboxes(ownerId) {
    const lines = linesOf(
      await docker('ps', '--all', '--no-trunc', '--filter', ownedBy(ownerId), '--format', '{{.ID}} {{.Status}}'),
    );
    const ids = lines.map(async (line) => {
      const [id = ''] = line.split(' ');
      return !line.endsWith('Removal In Progress') || (await exists(id)) ? [id] : [];
    });
    return (await Promise.all(ids)).flat();
  },
  describe(ownerId) {
    return docker('ps', '--all', '--filter', ownedBy(ownerId), '--format', '{{.ID}} {{.Status}}, made {{.CreatedAt}}');
  },
  async traces() {
    const cgroups = (await Promise.all(cgroupParents.map(directoriesOf))).flat();
    const containers = linesOf(await docker('ps', '--all', '--quiet', '--no-trunc'));
    const volumes = linesOf(await docker('volume', 'ls', '--quiet', '--filter', 'dangling=true'));
    const left = cgroups.filter((name) => !containers.some((id) => name.includes(id)));
    return [...volumes.map((name) => `volume ${name}`), ...left.map((name) => `cgroup ${name}`)];
  },
};

/** An engine of version 20 may list a container for ever that two had removed at once and that is long gone. */
function exists(id: string): Promise<boolean> {
  return docker('inspect', '--format', '{{.Id}}', id).then(
    () => true,
    () => false,
  );
}

function ownedBy(ownerId: string): string {
  return `label=python-executor.owner=${ownerId}`;
}

const ociView: BackendView = {
  async describe(ownerId) {
    return (await this.sandboxes(ownerId)).join('\n');
  },
  async sandboxes(ownerId) {
    const own = createHash('sha256').update(ownerId).digest('hex').slice(0, 12);
    const instances = (await cgroupsBelow('')).filter((name) => name.startsWith(`${own}.`));
    const names = (await Promise.all(instances.map((instance) => cgroupsBelow(instance)))).flat();
    // A zygote is no sandbox: no program runs in it.
    return names.filter((name) => /^[0-9a-f]{16}$/.test(name));
  },
  async traces() {
    const owners = await readdir('/run/python-executor').catch(() => []);
    const instances = await Promise.all(
      owners.map(async (owner) => (await readdir(`/run/python-executor/${owner}`)).map((name) => `${owner}.${name}`)),
    );
    return [...new Set([...instances.flat(), ...(await cgroupsBelow(''))])];
  },
};

/** Names of the directories in our part of the cgroup tree, on cgroup v1 and v2. */
async function cgroupsBelow(path: string): Promise<string[]> {
  for (const root of ['/sys/fs/cgroup/memory', '/sys/fs/cgroup']) {
    const entries = await readdir(`${root}/python-executor/${path}`, { withFileTypes: true }).catch(() => undefined);
    if (entries !== undefined) return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }
  return [];
}

/** Where engines put containers, on cgroup v1 and v2, by either driver. */
const cgroupParents = ['/sys/fs/cgroup/memory/docker', '/sys/fs/cgroup/docker', '/sys/fs/cgroup/system.slice'];

async function directoriesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && /[0-9a-f]{64}/.test(entry.name)).map(({ name }) => name);
}

const views: Readonly<Record<string, BackendView>> = { docker: dockerView, oci: ociView };

function viewOf(name: string): BackendView {
  const view = views[name];
  if (view === undefined) throw new Error(`There is no view of backend "${name}" for the tests`);
  return view;
}

export const backend = viewOf(testBackend);
