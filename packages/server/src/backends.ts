import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { bundleAgent, bundleGate, bundlePacker } from './sandbox/agent/bundle.js';
import { agentArguments } from './sandbox/agent/command.js';
import type { Backend } from './sandbox/backend.js';
import type { ZygoteObserver } from './sandbox/oci/zygote-maker.js';

export interface OpenBackendOptions {
  /** The same for every start on one data directory, and for no other server. */
  readonly ownerId: string;
  /** Where what was added with `images add` lies. */
  readonly imagesDir: string;
  readonly zygoteObserver?: ZygoteObserver;
  readonly logger: Logger;
}

const probeTimeoutMs = 10_000;

/**
 * Opens the backend that the configuration names. `auto` takes docker if its engine answers, else oci if a runtime
 * works here.
 *
 * @throws Error that says what to install when no backend works
 */
export async function openBackend(config: Config, options: OpenBackendOptions): Promise<Backend> {
  const { backend } = config.sandbox;
  // An engine that is down may come back; a runtime that is missing does not.
  if (backend === 'docker') return await openDockerBackend(config, options);
  const reasons: string[] = [];
  for (const open of backend === 'oci' ? [openOciBackend] : [openDockerBackend, openOciBackend]) {
    const candidate = await open(config, options);
    try {
      await candidate.probe({ signal: AbortSignal.timeout(probeTimeoutMs) });
      options.logger.info({ backend: candidate.name }, 'backend');
      return candidate;
    } catch (error) {
      reasons.push(`${candidate.name}: ${error instanceof Error ? error.message : String(error)}`);
      await candidate.close();
    }
  }
  throw new Error(
    `Cannot start: no backend works here (${reasons.join('; ')}). Install and start a Docker engine, or install crun or ` +
      'runc and python3; "python-executor doctor" says more',
  );
}

// Loading the client library of the engine takes a quarter of a second, so only who needs it does.
export async function openDockerBackend(config: Config, { ownerId, logger }: OpenBackendOptions): Promise<Backend> {
  const { createDockerBackend } = await import('./sandbox/docker/backend.js');
  const { sandbox, images } = config;
  const deniedAddresses = [...ownAddresses(), ...sandbox.networkDenied];
  return createDockerBackend({
    ...commonSettings(config),
    socket: sandbox.dockerSocket,
    pullTimeoutMs: images.pullTimeoutMs,
    ownerId,
    instanceId: randomUUID(),
    agentArguments,
    // No client has a say in this image, whatever it names for its own sandbox.
    gate: { image: images.default, source: bundleGate(), deniedAddresses },
    networkMode: sandbox.networkMode,
    dnsServers: sandbox.dnsServers,
    onLeftover: (container, error) => logger.warn({ container, err: error }, 'a container could not be removed yet'),
  });
}

export async function openOciBackend(config: Config, options: OpenBackendOptions): Promise<Backend> {
  const { createOciBackend } = await import('./sandbox/oci/backend.js');
  const { sandbox, images } = config;
  return createOciBackend({
    ...commonSettings(config),
    ownerId: options.ownerId,
    imagesDir: options.imagesDir,
    packerSource: bundlePacker(),
    agentArguments,
    hostImages: [images.default],
    hostPython: sandbox.hostPython,
    runtimeDir: sandbox.runtimeDir,
    zygotes: {
      enabled: sandbox.zygote === 'on',
      sandboxesMax: sandbox.zygoteSandboxesMax,
      ageMsMax: sandbox.zygoteAgeMsMax,
      memoryBytesMax: sandbox.zygoteMemoryBytesMax,
      observer: options.zygoteObserver,
    },
    onTrouble: (error) => options.logger.warn({ err: error }, 'sandboxes are made in a slower way than they could be'),
    onLeftover: (id, error) => options.logger.warn({ sandbox: id, err: error }, 'a sandbox could not be removed yet'),
  });
}

function commonSettings({ sandbox }: Config) {
  const { processesMax, inodesMax, openFilesMax, runtime } = sandbox;
  return { agentSource: bundleAgent(), processesMax, inodesMax, openFilesMax, runtime };
}

/** The addresses of this machine: when the engine runs on it, sandboxes with a network must not reach them. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}
