import { isIPv4, isIPv6 } from 'node:net';
import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { Backend, Sandbox } from '../backend.js';
import { readSeccompProfile } from '../seccomp.js';
import type { ContainerSettings, GateSettings } from './container.js';
import { deliverOverStdin } from './delivery.js';
import { followEndings } from './endings.js';
import { connectEngine, type Engine, raceAbort } from './engine.js';
import { allowNetfilter } from './gate.js';
import { shareHosts } from './hosts.js';
import { createImages, type Images } from './images.js';
import { createKernelReader } from './kernel.js';
import { removeContainer, removeTimeoutMs } from './removal.js';
import { type ContainerParts, startSandbox } from './start.js';

export interface DockerBackendOptions
  extends Omit<ContainerSettings, 'agent' | 'seccompProfile' | 'labels' | 'cpuCount' | 'gate'> {
  /** The Python program that is pid 1 in every sandbox. */
  readonly agentSource: string;
  /** Path of the engine's socket, or `unix://…`, `tcp://host:port`, `http://host:port`. */
  readonly socket: string;
  /** How long a pull of an image may take, ms. */
  readonly pullTimeoutMs: number;
  /** How long the engine may take to answer any other call, ms. 20,000 unless given. */
  readonly callTimeoutMs?: number;
  /** Whose containers these are: the same for every start of one server, and of no other server. */
  readonly ownerId: string;
  /** Which start of the server this is. One backend an instance. */
  readonly instanceId: string;
  /** What closes the networks of `public` sandboxes. */
  readonly gate: Omit<GateSettings, 'seccompProfile'>;
  /** How many threads native libraries start in a sandbox. 1 unless given. */
  readonly cpuCount?: number;
  /** Hears of containers that could not be removed and are left to {@link Backend.reap}, with why. */
  readonly onLeftover?: (container: string, error: unknown) => void;
}

const ownerLabel = 'python-executor.owner';
const instanceLabel = 'python-executor.instance';
/** Instead of the owner's label on containers that are no sandboxes: no program runs in them. */
const keeperLabel = 'python-executor.keeper';

/** The kernel takes arguments of 128 KiB with the zero that ends them. */
const sourceBytesMax = 128 * 1024 - 1;
const callTimeoutMs = 20_000;
const probeTimeoutMs = 2000;
/** How long an abort waits until what it interrupted is cleaned up. What takes longer goes on in the background. */
const abortGraceMs = 2000;
/** The first version of the API with private cgroup namespaces and one-shot statistics. */
const apiVersionMin = 41;

interface Parts extends ContainerParts {
  readonly images: Images;
}

/**
 * Sandboxes that are containers of a Docker engine, or of what speaks its API. No path of the host is mounted, so the
 * engine may be on another machine.
 *
 * @throws RangeError when the gate's program is too long for an argument, or the network is not the sandbox's own
 */
export function createDockerBackend(options: DockerBackendOptions): Backend {
  checkGateSource(options.gate.source);
  checkNetwork(options.networkMode);
  options.gate.deniedAddresses.forEach(checkDenied);
  const labelInstance = { [instanceLabel]: options.instanceId };
  const labels = { ...labelInstance, [ownerLabel]: options.ownerId };
  const seccompProfile = readSeccompProfile();
  const engine = connectEngine({ socket: options.socket, callTimeoutMs: options.callTimeoutMs ?? callTimeoutMs });
  const settings = {
    ...options,
    agent: deliverOverStdin(options.agentSource),
    cpuCount: options.cpuCount ?? 1,
    labels,
    seccompProfile,
    gate: { ...options.gate, seccompProfile: allowNetfilter(seccompProfile) },
  };
  const account = { engine, live: new Set<string>(), onLeftover: options.onLeftover ?? (() => {}) };
  const parts: Parts = {
    ...account,
    images: createImages(engine, { pullTimeoutMs: options.pullTimeoutMs }),
    endings: followEndings(engine, { label: `${instanceLabel}=${options.instanceId}` }),
    hosts: shareHosts(account, { ...settings, labels: { ...labelInstance, [keeperLabel]: options.ownerId } }),
    settings,
    abilities: { quotas: true, ipv6Switch: true },
    readKernel: createKernelReader(engine),
  };
  return {
    name: 'docker',
    networks: ['none', 'public'],
    create: (spec, { signal }) => createSandbox(parts, spec, signal),
    reap: () => reap(parts, options.ownerId),
    probe: ({ signal }) => probe(engine, signal),
    describe: async () => ({
      backend: 'docker',
      runtime: options.runtime || "the engine's default",
      way: 'container',
      why: 'an engine makes containers and nothing else',
    }),
    async close() {
      parts.images.close();
      parts.endings.close();
      engine.close();
    },
  };
}

function checkGateSource(source: string): void {
  const bytes = Buffer.byteLength(source);
  if (bytes <= sourceBytesMax) return;
  throw new RangeError(`Cannot use gate: its source has ${bytes} bytes, more than ${sourceBytesMax}`);
}

/** A gate closes a network namespace, so it must be one that nobody else is in. */
function checkNetwork(mode: string): void {
  if (mode !== 'host' && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(mode)) return;
  throw new RangeError(
    `Cannot use network ${JSON.stringify(mode)}: it must be the name of a network, and not the host's`,
  );
}

function checkDenied(block: string): void {
  const [address = '', length = '32', ...rest] = block.split('/');
  // IPv6 is denied altogether.
  if (isIPv6(address) || (isIPv4(address) && /^\d+$/.test(length) && Number(length) <= 32 && rest.length === 0)) return;
  throw new RangeError(`Cannot deny network ${JSON.stringify(block)}: it is no address and no "address/length"`);
}

async function createSandbox(parts: Parts, spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox> {
  signal.throwIfAborted();
  const [image, gateImage] = await Promise.all([
    parts.images.ensure(spec.image, { signal }),
    spec.network === 'public' ? parts.images.ensure(parts.settings.gate.image, { signal }) : undefined,
    parts.endings.connect(),
  ]);
  signal.throwIfAborted();
  const making = startSandbox(parts, { image, gateImage, spec, signal });
  try {
    return await raceAbort(making, [signal]);
  } catch (error) {
    if (signal.aborted) await raceAbort(making, [AbortSignal.timeout(abortGraceMs)]).catch(() => {});
    throw error;
  }
}

/** Removes every container of this owner that is not in use: those of earlier instances, and our own that got lost. */
async function reap({ engine, live }: Parts, ownerId: string): Promise<number> {
  const list = (label: string) => {
    const filters = JSON.stringify({ label: [`${label}=${ownerId}`] });
    return engine.call('list containers', () => engine.docker.listContainers({ all: true, filters }));
  };
  const found = (await Promise.all([list(ownerLabel), list(keeperLabel)])).flat();
  // What is being removed needs nobody's help, and engines may list it for good.
  const present = found.filter(({ State: state }) => state !== 'removing');
  const leftovers = present.filter((container) => !container.Names.some((name) => live.has(name.replace(/^\//, ''))));
  const removals = leftovers.map(({ Id: id }) => removeContainer(engine, id, { timeoutMs: removeTimeoutMs }));
  const outcomes = await Promise.allSettled(removals);
  return outcomes.filter(({ status }) => status === 'fulfilled').length;
}

async function probe(engine: Engine, signal: AbortSignal): Promise<void> {
  const { ApiVersion: version } = await engine.call('probe engine', () => engine.docker.version(), {
    timeoutMs: probeTimeoutMs,
    signal,
  });
  const [major = 0, minor = 0] = String(version).split('.').map(Number);
  if (major > 1 || (major === 1 && minor >= apiVersionMin)) return;
  throw new SandboxError(
    'engine_unavailable',
    `Cannot use engine: its API is version ${JSON.stringify(version)}, and 1.${apiVersionMin} is the oldest that will do`,
  );
}
