import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { SandboxError } from '../../jobs/ports.js';
import { sandboxUser, temporaryDirectory, workDirectory } from '../containment.js';
import { machineFiles } from './configuration.js';
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
  ...machineFiles,
  group: `root:x:0:\nsandbox:x:${gid}:\nnogroup:x:65534:\n`,
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    `sandbox:x:${uid}:${gid}:sandbox:${workDirectory}:/bin/sh`,
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  ].join('\n'),
  // Whoever is root of the sandbox may become anybody in it; nobody else is asked for a password, because nobody has one.
  'pam.d/other': ['auth', 'account', 'password', 'session'].map((type) => `${type} required pam_permit.so\n`).join(''),
  shadow: 'root:*:19000::::::\n',
  timezone: 'Etc/UTC\n',
};

export interface HostRoot {
  /** Directories of the host that have to be shown below the root, at the same path. */
  readonly shown: readonly string[];
  readonly environment: readonly string[];
}

/**
 * Builds a root file system in an empty directory: everything that is not shown from the host itself. Synchronous,
 * because it is hundreds of small steps, each of which would take several times as long otherwise.
 *
 * @param python undefined makes one for programs of the system alone
 * @throws SandboxError `engine_unavailable` when the interpreter would bring in more than itself
 */
export function buildHostRoot(
  directory: string,
  options: { readonly python: HostPython | undefined; readonly users: UserRange },
): HostRoot {
  const shown: string[] = [];
  for (const path of systemDirectories) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) symlinkSync(readlinkSync(path), join(directory, path));
    else if (stats?.isDirectory()) shown.push(path);
  }
  for (const prefix of options.python?.prefixes ?? []) {
    if (shown.some((path) => prefix === path || prefix.startsWith(`${path}/`))) continue;
    checkPrefix(prefix);
    shown.push(prefix);
  }
  for (const path of [...emptyDirectories, ...shown]) mkdirSync(join(directory, path), { recursive: true });
  writeConfiguration(join(directory, 'etc'), options.python?.version);
  giveAway(directory, options.users.first);
  // Some runtimes give a file system the mode of the directory that it is mounted on.
  chmodSync(join(directory, temporaryDirectory), 0o1777);
  return { shown, environment: [`PATH=${pathOf(options.python)}`] };
}

/** The interpreter has to be the first on the path; where it is already, the path is the usual one. */
function pathOf(python: HostPython | undefined): string {
  const directories = systemPath.split(':');
  const usual = directories.map((directory) => join(directory, 'python3')).find((path) => existsSync(path));
  if (python === undefined || python.path === usual) return systemPath;
  const first = dirname(python.path);
  return [first, ...directories.filter((directory) => directory !== first)].join(':');
}

/** Everything below a prefix can be read inside, so it must be that of an interpreter and not somebody's home. */
function checkPrefix(prefix: string): void {
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  const homes = accounts.map((line) => line.split(':')[5]);
  if (prefix.lastIndexOf('/') > 0 && !homes.includes(prefix)) return;
  throw new SandboxError(
    'engine_unavailable',
    `Cannot use the host's Python: its prefix ${JSON.stringify(prefix)} is a directory with other things in it`,
  );
}

function writeConfiguration(etc: string, version: string | undefined): void {
  mkdirSync(etc);
  const python = version === undefined ? [] : ['python3', `python${version}`];
  for (const name of [...configuration, ...python]) {
    const source = join('/etc', name);
    if (!existsSync(source)) continue;
    mkdirSync(dirname(join(etc, name)), { recursive: true });
    // Of the alternatives hundreds are manuals, and compressed.
    const filter = (path: string) => !path.endsWith('.gz');
    cpSync(source, join(etc, name), { recursive: true, verbatimSymlinks: true, filter });
  }
  mkdirSync(join(etc, 'pam.d'));
  for (const [name, text] of Object.entries(ownConfiguration)) writeFileSync(join(etc, name), text);
  symlinkSync('/usr/share/zoneinfo/Etc/UTC', join(etc, 'localtime'));
}

/** Gives everything to root of the sandbox, for all to read, whatever the umask of the server is. */
function giveAway(directory: string, owner: number): void {
  lchownSync(directory, owner, owner);
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      giveAway(path, owner);
      continue;
    }
    lchownSync(path, owner, owner);
    if (entry.isFile()) chmodSync(path, 0o644);
  }
}
