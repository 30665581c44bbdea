import { cp, lchown, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SandboxError } from '../../jobs/ports.js';
import { hostName, sandboxUser, temporaryDirectory, workDirectory } from '../containment.js';
import { systemPath } from './executable.js';
import type { HostPython } from './python.js';
import type { UserRange } from './root.js';

/** Directories of a machine that hold programs and libraries, and nothing that belongs to anybody. */
const systemDirectories = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** Directories that are expected to be there and are empty, or get something mounted. */
const emptyDirectories = [
  ...['/boot', '/dev', '/home', '/media', '/mnt', '/opt', '/proc', '/root', '/run', '/srv', '/sys'],
  ...['/var/cache', '/var/lib', '/var/log', '/var/tmp', temporaryDirectory, workDirectory],
];

/**
 * What interpreters, C libraries and TLS read of /etc. It is copied: that costs a sandbox less than mounts would, and the
 * copy has an owner inside. What changes on the host is seen after the next start.
 */
const configuration = [
  ...['alternatives', 'ca-certificates', 'crypto-policies', 'debian_version', 'fonts', 'ld.so.cache', 'ld.so.conf'],
  ...['ld.so.conf.d', 'locale.alias', 'magic', 'mime.types', 'os-release', 'pki/ca-trust/extracted', 'pki/tls/certs'],
  ...['protocols', 'rpc', 'services', 'ssl/certs', 'ssl/cert.pem', 'ssl/openssl.cnf', 'terminfo'],
];

const { uid, gid } = sandboxUser;

const ownConfiguration: Readonly<Record<string, string>> = {
  group: `root:x:0:\nsandbox:x:${gid}:\nnogroup:x:65534:\n`,
  hostname: `${hostName}\n`,
  hosts: `127.0.0.1\tlocalhost ${hostName}\n::1\tlocalhost ip6-localhost ip6-loopback\n`,
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    `sandbox:x:${uid}:${gid}:sandbox:${workDirectory}:/bin/sh`,
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  ].join('\n'),
  'resolv.conf': '',
  timezone: 'Etc/UTC\n',
};

export interface HostRoot {
  /** Directories of the host that have to be shown below the root, at the same path. */
  readonly shown: readonly string[];
  readonly environment: readonly string[];
}

/**
 * Builds a root file system in an empty directory: everything that is not shown from the host itself.
 *
 * @param python undefined makes one for programs of the system alone
 * @throws SandboxError `engine_unavailable` when the interpreter would bring in more than itself
 */
export async function buildHostRoot(
  directory: string,
  options: { readonly python: HostPython | undefined; readonly users: UserRange },
): Promise<HostRoot> {
  const shown: string[] = [];
  for (const path of systemDirectories) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isSymbolicLink()) await symlink(await readlink(path), join(directory, path));
    else if (stats?.isDirectory()) shown.push(path);
  }
  for (const prefix of options.python?.prefixes ?? []) {
    if (shown.some((path) => prefix === path || prefix.startsWith(`${path}/`))) continue;
    await checkPrefix(prefix);
    shown.push(prefix);
  }
  for (const path of [...emptyDirectories, ...shown]) await mkdir(join(directory, path), { recursive: true });
  await writeConfiguration(join(directory, 'etc'), options.python?.version);
  await giveAway(directory, options.users.first);
  return { shown, environment: [`PATH=${pathOf(options.python)}`] };
}

/** The interpreter that was found has to be the first on the path. */
function pathOf(python: HostPython | undefined): string {
  const first = python === undefined ? '' : dirname(python.path);
  const others = systemPath.split(':').filter((directory) => directory !== first);
  return first === '' ? others.join(':') : [first, ...others].join(':');
}

/** Everything below a prefix can be read inside, so it must be that of an interpreter and not somebody's home. */
async function checkPrefix(prefix: string): Promise<void> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n');
  const homes = accounts.map((line) => line.split(':')[5]);
  if (prefix.lastIndexOf('/') > 0 && !homes.includes(prefix)) return;
  throw new SandboxError(
    'engine_unavailable',
    `Cannot use the host's Python: its prefix ${JSON.stringify(prefix)} is a directory with other things in it`,
  );
}

async function writeConfiguration(etc: string, version: string | undefined): Promise<void> {
  await mkdir(etc);
  const python = version === undefined ? [] : ['python3', `python${version}`];
  for (const name of [...configuration, ...python]) {
    const target = join(etc, name);
    await mkdir(dirname(target), { recursive: true });
    await cp(join('/etc', name), target, { recursive: true, verbatimSymlinks: true }).catch(() => {});
  }
  for (const [name, text] of Object.entries(ownConfiguration)) await writeFile(join(etc, name), text);
  await symlink('/usr/share/zoneinfo/Etc/UTC', join(etc, 'localtime'));
}

/** Gives everything to root of the sandbox. */
async function giveAway(directory: string, owner: number): Promise<void> {
  await lchown(directory, owner, owner);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await giveAway(path, owner);
    else await lchown(path, owner, owner);
  }
}
