import type { Config } from '../config.js';
import { connectEngine, type Engine, EngineRefusal } from '../sandbox/docker/engine.js';
import { parseImageReference } from '../sandbox/docker/image.js';
import { readMended } from './changelog.js';
import { type Check, fail, ok, warn } from './check.js';
import { messageOf } from './probe.js';
import { parseVersion } from './version.js';
import { checkVulnerabilities } from './vulnerabilities.js';

/** What an engine says of itself, as far as it matters here. */
interface EngineInfo {
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly DefaultRuntime?: string;
  readonly Driver?: string;
  readonly MemoryLimit?: boolean;
  readonly PidsLimit?: boolean;
  readonly CPUShares?: boolean;
  readonly SwapLimit?: boolean;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly SecurityOptions?: readonly string[];
  readonly Warnings?: readonly string[] | null;
}

interface EngineVersion {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
}

export interface EngineFindings {
  readonly checks: readonly Check[];
  /** Undefined when no engine answers, or none that will do. */
  readonly usable: { readonly runtimes: readonly string[]; readonly hasImage: boolean } | undefined;
}

const name = 'docker engine';
const callTimeoutMs = 5_000;
const apiMinorMin = 41;
/** Older ones get no fixes any more but those of distributions. */
const supportedMajorMin = 23;

/** Asks the engine of the configuration what it is. */
export async function examineEngine(
  { sandbox, images }: Pick<Config, 'sandbox' | 'images'>,
  { signal }: { readonly signal: AbortSignal },
): Promise<EngineFindings> {
  let engine: Engine | undefined;
  try {
    engine = connectEngine({ socket: sandbox.dockerSocket, callTimeoutMs });
    const { docker, call } = engine;
    const version = (await call('ask for version', () => docker.version(), { signal })) as EngineVersion;
    const reached = checkEngine(version, sandbox.dockerSocket);
    if (reached.status === 'fail') return { checks: [reached], usable: undefined };
    const info = (await call('ask for information', () => docker.info(), { signal })) as EngineInfo;
    const image = await checkImage(engine, images.default, signal);
    const isHere = !sandbox.dockerSocket.includes('://') || sandbox.dockerSocket.startsWith('unix:');
    const runtime = await checkRuntime(version, info, isHere ? readMended : async () => new Set());
    const checks = [reached, checkCgroups(info), checkSwap(info), checkSeccomp(info), checkStorage(info), runtime];
    const usable = { runtimes: runtimesOf(info), hasImage: image.status === 'ok' };
    return { checks: [...checks, ...checkWarnings(info), image], usable };
  } catch (error) {
    signal.throwIfAborted();
    return { checks: [fail(name, messageOf(error), remedyFor(error))], usable: undefined };
  } finally {
    engine?.close();
  }
}

function remedyFor(error: unknown): string {
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  if (code === 'EACCES')
    return 'start the service as root, or as a member of the group docker, which is as good as root';
  if (code === 'ECONNREFUSED') return 'start the engine: systemctl start docker';
  if (code === 'ENOENT') {
    return 'install an engine and start it (Debian: apt-get install docker.io), or set PYEXEC_DOCKER_SOCKET to its socket';
  }
  return 'see that the engine is well, and that PYEXEC_DOCKER_SOCKET is where it listens';
}

function checkEngine(
  { Version: version, ApiVersion: api, Components: components = [] }: EngineVersion,
  socket: string,
) {
  const product = components.find((component) => /engine/i.test(component.Name))?.Name ?? 'Engine';
  const finding = `${product === 'Engine' ? 'Docker' : product} ${version}, API ${api}, at ${JSON.stringify(socket)}`;
  const [apiMajor = 0, apiMinor = 0] = api.split('.').map(Number);
  if (apiMajor === 1 && apiMinor < apiMinorMin)
    return fail(name, finding, `upgrade it: API 1.${apiMinorMin} is needed`);
  const [major = supportedMajorMin] = parseVersion(version) ?? [];
  if (product === 'Engine' && major < supportedMajorMin) {
    const remedy = 'upgrade it, unless your distribution still mends this version';
    return warn(name, `${finding}; upstream has given up versions before ${supportedMajorMin}`, remedy);
  }
  return ok(name, finding);
}

function checkCgroups(info: EngineInfo): Check {
  const finding = `version ${info.CgroupVersion ?? 'unknown'}, driver ${info.CgroupDriver ?? 'unknown'}`;
  const limits = { memory: info.MemoryLimit, pids: info.PidsLimit, cpu: info.CPUShares };
  const missing = Object.entries(limits).flatMap(([controller, there]) => (there === false ? [controller] : []));
  if (missing.length === 0 && info.CgroupDriver !== 'none') return ok('docker cgroups', finding);
  const what = missing.join(', ') || 'anything';
  const remedy = 'boot with cgroup_enable=memory, or for a rootless engine delegate the controllers to its user';
  return fail('docker cgroups', `${finding}; it cannot limit ${what}`, remedy);
}

function checkSwap({ SwapLimit: limited }: EngineInfo): Check {
  if (limited !== false) return ok('docker swap', 'memory limits cover swap');
  const remedy = 'boot the kernel with swapaccount=1, or turn swap off: swapoff -a';
  return warn('docker swap', 'memory limits do not cover swap: a program may use as much swap again', remedy);
}

function checkSeccomp({ SecurityOptions: options = [] }: EngineInfo): Check {
  if (options.some((option) => /(?:^|name=)seccomp/.test(option))) return ok('docker seccomp', 'supported');
  return fail('docker seccomp', 'not supported: no system call would be refused', 'use an engine built with seccomp');
}

function checkStorage({ Driver: driver = 'unknown' }: EngineInfo): Check {
  if (!['vfs', 'devicemapper', 'aufs', 'overlay'].includes(driver)) return ok('docker storage', `driver ${driver}`);
  return warn(
    'docker storage',
    `driver ${driver} is slow or given up`,
    'use overlay2: see "storage-driver" of dockerd',
  );
}

async function checkRuntime(version: EngineVersion, info: EngineInfo, mendedBy: typeof readMended): Promise<Check> {
  const program = info.DefaultRuntime ?? 'runc';
  // The second is Podman's way, with a whole sentence as the version.
  const names = [program, `OCI Runtime (${program})`];
  const component = version.Components?.find((candidate) => names.includes(candidate.Name));
  const [number] = /\d+\.\d\S*/.exec(component?.Version ?? '') ?? [];
  const label = 'docker runtime';
  if (number === undefined) return ok(label, `${program}, of a version that the engine does not tell`);
  const mended = await mendedBy(program, number);
  return checkVulnerabilities(label, { program, version: number, mended, about: ', the default' });
}

/** What else the engine has to say. Swap is spoken of already. */
function checkWarnings({ Warnings: warnings }: EngineInfo): readonly Check[] {
  const others = (warnings ?? []).filter((warning) => !/swap limit/i.test(warning));
  return others.length === 0 ? [] : [warn('docker warnings', others.join('; '), 'see the manual of the engine')];
}

async function checkImage(engine: Engine, image: string, signal: AbortSignal): Promise<Check> {
  const label = 'docker image';
  const reference = parseImageReference(image);
  const quoted = JSON.stringify(image);
  if (reference === undefined) return fail(label, `${quoted} is no name of an image`, 'mend PYEXEC_DEFAULT_IMAGE');
  try {
    await engine.call('inspect image', () => engine.docker.getImage(reference.text).inspect(), { signal });
    return ok(label, `${quoted} is there`);
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error;
    return warn(label, `${quoted} is not there: the first run waits until it is pulled`, `docker pull ${image}`);
  }
}

/** The engine lists its own way of naming runc too. */
function runtimesOf({ Runtimes: runtimes = {}, DefaultRuntime: first = 'runc' }: EngineInfo): readonly string[] {
  return [first, ...Object.keys(runtimes).filter((key) => key !== first && ['crun', 'runc', 'runsc'].includes(key))];
}
