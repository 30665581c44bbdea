import type { ContainerCreateOptions } from 'dockerode';
import type { SandboxSpec } from '../../jobs/ports.js';
import {
  capabilitiesOf,
  coreBytesMax,
  cpuSharesMin,
  hostName,
  maskedPaths,
  memoryBytesMin,
  oomScoreAdjustment,
  readonlyPaths,
  sandboxEnvironment,
  sharedMemoryBytes,
  tmpfsMounts,
  userOf,
  workDirectory,
} from '../containment.js';
import type { Image } from './images.js';

/** What is the same for every container of a backend. */
export interface ContainerSettings {
  /** The Python program that is pid 1 inside. */
  readonly agentSource: string;
  /** What follows it on its command line; nothing unless given. */
  readonly agentArguments?: (spec: SandboxSpec) => readonly string[];
  /** Our seccomp profile as JSON. */
  readonly seccompProfile: string;
  readonly processesMax: number;
  readonly inodesMax: number;
  readonly openFilesMax: number;
  /** How many threads native libraries start. */
  readonly cpuCount: number;
  /** Name of the engine's runtime; empty for its default. */
  readonly runtime: string;
  /** The engine's network for `public` sandboxes. */
  readonly networkMode: string;
  /** Name servers of `public` sandboxes; empty for the engine's choice. */
  readonly dnsServers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The container of a sandbox, as the engine's API has it. Every property by which an image could have a say is given:
 * only its environment and its files remain. Of what clients send, only numbers get here.
 */
export function describeContainer(
  name: string,
  image: Image,
  spec: SandboxSpec,
  settings: ContainerSettings,
): ContainerCreateOptions {
  const user = userOf(spec);
  return {
    name,
    Image: image.id,
    Entrypoint: ['python3', '-I', '-S', '-c', settings.agentSource, ...(settings.agentArguments?.(spec) ?? [])],
    Cmd: [],
    WorkingDir: workDirectory,
    User: `${user.uid}:${user.gid}`,
    Env: [...sandboxEnvironment({ cpuCount: settings.cpuCount })],
    Hostname: hostName,
    Domainname: '',
    Labels: { ...settings.labels },
    Healthcheck: { Test: ['NONE'] },
    StopSignal: 'SIGKILL',
    StopTimeout: 0,
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...describeLifetime(settings),
      ...describeLimits(spec, settings),
      ...describePrivileges(spec, settings),
      ...describeFiles(image, spec, settings),
      ...describeNetwork(spec, settings),
    },
  };
}

type HostConfig = NonNullable<ContainerCreateOptions['HostConfig']>;

function describeLifetime(settings: ContainerSettings): HostConfig {
  return {
    AutoRemove: true,
    Init: false,
    // Nothing that a program prints may reach a disk of the host.
    LogConfig: { Type: 'none', Config: {} },
    ...(settings.runtime === '' ? {} : { Runtime: settings.runtime }),
  };
}

function describeLimits(spec: SandboxSpec, settings: ContainerSettings): HostConfig {
  const memoryBytes = Math.max(spec.memoryBytes, memoryBytesMin);
  return {
    Memory: memoryBytes,
    // The same number means no swap: it counts both.
    MemorySwap: memoryBytes,
    CpuShares: Math.max(spec.cpuShares, cpuSharesMin),
    PidsLimit: settings.processesMax,
    Ulimits: [
      { Name: 'nofile', Soft: settings.openFilesMax, Hard: settings.openFilesMax },
      { Name: 'core', Soft: coreBytesMax, Hard: coreBytesMax },
    ],
    OomScoreAdj: oomScoreAdjustment,
  };
}

function describePrivileges(spec: SandboxSpec, settings: ContainerSettings): HostConfig {
  return {
    Privileged: false,
    CapDrop: ['ALL'],
    CapAdd: [...capabilitiesOf(spec)],
    SecurityOpt: ['no-new-privileges', `seccomp=${settings.seccompProfile}`],
    MaskedPaths: [...maskedPaths],
    ReadonlyPaths: [...readonlyPaths],
    IpcMode: 'private',
    // The type of the client library does not know it.
    ...{ CgroupnsMode: 'private' },
  };
}

function describeFiles(image: Image, spec: SandboxSpec, settings: ContainerSettings): HostConfig {
  const writable = spec.privilege === 'setup';
  const mounts = tmpfsMounts({ diskBytes: spec.diskBytes, inodesMax: settings.inodesMax });
  return {
    ReadonlyRootfs: !writable,
    ...(writable ? { StorageOpt: { size: String(spec.diskBytes) } } : {}),
    ShmSize: sharedMemoryBytes,
    Tmpfs: Object.fromEntries(mounts.map(({ path, options }) => [path, options.join(',')])),
    // For a volume of the image the engine would make a directory on the host's disk without a limit, and copy what the
    // image has there into it. An empty tmpfs in its place keeps it from doing so.
    Mounts: image.volumes.map((path) => ({
      Type: 'tmpfs',
      Source: '',
      Target: path,
      ReadOnly: !writable,
      TmpfsOptions: { SizeBytes: writable ? spec.diskBytes : emptyBytes, Mode: 0o755 },
    })),
  };
}

/** The size of a tmpfs that stays empty. */
const emptyBytes = 65_536;

function describeNetwork(spec: SandboxSpec, settings: ContainerSettings): HostConfig {
  // Without these the sandbox would read the host's own name servers and search domains. Where there is no network, the
  // one that is named refuses at once.
  const nameServers = spec.network === 'none' ? ['127.0.0.1'] : settings.dnsServers;
  return {
    NetworkMode: spec.network === 'none' ? 'none' : settings.networkMode,
    Dns: [...nameServers],
    DnsSearch: ['.'],
    DnsOptions: [],
  };
}
