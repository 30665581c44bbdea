import { isIPv4 } from 'node:net';
import type { ContainerCreateOptions } from 'dockerode';
import type { SandboxSpec } from '../../jobs/ports.js';
import {
  capabilitiesOf,
  coreBytesMax,
  cpuSharesMin,
  gateCapabilities,
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
import type { Delivery } from './delivery.js';
import type { HostsFiles } from './hosts.js';
import type { Image } from './images.js';

/** What is the same for every container of a backend. */
export interface ContainerSettings {
  /** The Python program that is pid 1 inside. */
  readonly agent: Delivery;
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
  readonly gate: GateSettings;
}

/** What closes the networks of `public` sandboxes; see gate.ts. */
export interface GateSettings {
  /** An image whose interpreter is trusted with the capability to change a network: the operator's choice alone. */
  readonly image: string;
  /** The Python program that confines the network, and holds it until its stdin ends. */
  readonly source: string;
  /** IPv4 addresses or networks that are unreachable besides all that are not public. */
  readonly deniedAddresses: readonly string[];
  /** Our seccomp profile as JSON, with what configures the kernel's packet filter. */
  readonly seccompProfile: string;
}

export interface ContainerSubject {
  readonly name: string;
  readonly image: Image;
}

export interface GateSubject extends ContainerSubject {
  /** What of the kernel's settings is the network's own, by name. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface Offline {
  readonly files: HostsFiles;
  /** What of the kernel's settings is the network's own, by name. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface SandboxSubject extends ContainerSubject {
  readonly spec: SandboxSpec;
  /** The gate whose network it joins; undefined for a sandbox without one. */
  readonly gateId: string | undefined;
  /** What a sandbox without a network shares with others; undefined for one that has its own from the engine. */
  readonly offline: Offline | undefined;
}

/**
 * The container of a sandbox, as the engine's API has it. Every property by which an image could have a say is given:
 * only its environment and its files remain. Of what clients send, only numbers get here.
 */
export function describeSandbox(subject: SandboxSubject, settings: ContainerSettings): ContainerCreateOptions {
  const { image, spec, gateId, offline } = subject;
  const user = userOf(spec);
  const files = describeFiles(image, spec, settings);
  const program = [settings.agent.loader, ...(settings.agentArguments?.(spec) ?? [])];
  return {
    ...describeProcess(subject, settings, program),
    WorkingDir: workDirectory,
    User: `${user.uid}:${user.gid}`,
    Env: [...sandboxEnvironment({ cpuCount: settings.cpuCount })],
    ...(gateId === undefined ? ownName : {}),
    ...(offline === undefined ? {} : { NetworkDisabled: true }),
    HostConfig: {
      ...describeLifetime(settings),
      ...describeLimits({ ...spec, processesMax: settings.processesMax }, settings),
      ...describePrivileges({ capabilities: capabilitiesOf(spec), seccompProfile: settings.seccompProfile }),
      ...files,
      ...(gateId === undefined ? describeNoNetwork() : { NetworkMode: `container:${gateId}` }),
      ...(offline === undefined ? {} : describeOffline(files, offline)),
    },
  };
}

/**
 * The container of a gate. The name and the name servers of a network are those of the container that made it: an
 * engine refuses them where another joins.
 */
export function describeGate(subject: GateSubject, settings: ContainerSettings): ContainerCreateOptions {
  const { gate, dnsServers } = settings;
  const servers = dnsServers.filter((server) => isIPv4(server)).join(',');
  const program = [gate.source, servers, ...gate.deniedAddresses.filter((block) => !block.includes(':'))];
  return {
    ...describeProcess(subject, settings, program),
    WorkingDir: '/',
    User: '0:0',
    Env: [],
    ...ownName,
    HostConfig: {
      ...describeLifetime(settings),
      ...describeLimits(gateLimits, settings),
      ...describePrivileges({ capabilities: gateCapabilities, seccompProfile: gate.seccompProfile }),
      ReadonlyRootfs: true,
      ShmSize: emptyBytes,
      Mounts: hideVolumes(subject.image, { readOnly: true, sizeBytes: emptyBytes }),
      NetworkMode: settings.networkMode,
      Dns: [...dnsServers],
      ...noSearchDomains,
      Sysctls: { ...subject.sysctls },
    },
  };
}

/** The container of a keeper: that of a sandbox without a network, in which nothing happens. */
export function describeKeeper(subject: ContainerSubject, settings: ContainerSettings): ContainerCreateOptions {
  const user = userOf({ privilege: 'program' });
  return {
    ...describeProcess(subject, settings, ['import os\nwhile os.read(0, 1): pass']),
    WorkingDir: '/',
    User: `${user.uid}:${user.gid}`,
    Env: [],
    ...ownName,
    HostConfig: {
      ...describeLifetime(settings),
      ...describeLimits(gateLimits, settings),
      ...describePrivileges({ capabilities: [], seccompProfile: settings.seccompProfile }),
      ReadonlyRootfs: true,
      ShmSize: emptyBytes,
      Mounts: hideVolumes(subject.image, { readOnly: true, sizeBytes: emptyBytes }),
      ...describeNoNetwork(),
    },
  };
}

/** The runtime has threads of its own before it becomes the interpreter, and copies itself into memory. */
const gateLimits = { memoryBytes: 64 * 1024 * 1024, cpuShares: 1024, processesMax: 32 };

const ownName = { Hostname: hostName, Domainname: '' };

/** What sandboxes and gates have in common. */
function describeProcess(
  { name, image }: ContainerSubject,
  settings: ContainerSettings,
  program: readonly string[],
): ContainerCreateOptions {
  return {
    name,
    Image: image.id,
    Entrypoint: ['python3', '-I', '-S', '-c', ...program],
    Cmd: [],
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

interface Limits {
  readonly memoryBytes: number;
  readonly cpuShares: number;
  readonly processesMax: number;
}

function describeLimits(limits: Limits, settings: ContainerSettings): HostConfig {
  const memoryBytes = Math.max(limits.memoryBytes, memoryBytesMin);
  return {
    Memory: memoryBytes,
    // The same number means no swap: it counts both.
    MemorySwap: memoryBytes,
    CpuShares: Math.max(limits.cpuShares, cpuSharesMin),
    PidsLimit: limits.processesMax,
    Ulimits: [
      { Name: 'nofile', Soft: settings.openFilesMax, Hard: settings.openFilesMax },
      { Name: 'core', Soft: coreBytesMax, Hard: coreBytesMax },
    ],
    OomScoreAdj: oomScoreAdjustment,
  };
}

function describePrivileges(privileges: {
  readonly capabilities: readonly string[];
  readonly seccompProfile: string;
}): HostConfig {
  return {
    Privileged: false,
    CapDrop: ['ALL'],
    CapAdd: [...privileges.capabilities],
    SecurityOpt: ['no-new-privileges', `seccomp=${privileges.seccompProfile}`],
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
    Mounts: hideVolumes(image, { readOnly: !writable, sizeBytes: writable ? spec.diskBytes : emptyBytes }),
  };
}

/**
 * For a volume of the image the engine would make a directory on the host's disk without a limit, and copy what the
 * image has there into it. A tmpfs in its place keeps it from doing so.
 */
function hideVolumes(image: Image, tmpfs: { readonly readOnly: boolean; readonly sizeBytes: number }) {
  return image.volumes.map((path) => ({
    Type: 'tmpfs' as const,
    Source: '',
    Target: path,
    ReadOnly: tmpfs.readOnly,
    TmpfsOptions: { SizeBytes: tmpfs.sizeBytes, Mode: 0o755 },
  }));
}

/** The size of a tmpfs that stays empty. */
const emptyBytes = 65_536;

/** Without these a sandbox would read the host's own search domains. */
const noSearchDomains = { DnsSearch: ['.'], DnsOptions: [] };

/** The name server that is named refuses at once. */
function describeNoNetwork(): HostConfig {
  return { NetworkMode: 'none', Dns: ['127.0.0.1'], ...noSearchDomains };
}

/** The network that the runtime makes is to be like that of the engine, which has no IPv6. */
function describeOffline({ Mounts: mounts = [] }: HostConfig, { files, sysctls }: Offline): HostConfig {
  const shared = [
    { Type: 'bind' as const, Source: files.hosts, Target: '/etc/hosts', ReadOnly: true },
    { Type: 'bind' as const, Source: files.resolver, Target: '/etc/resolv.conf', ReadOnly: true },
  ];
  return { NetworkMode: 'none', Mounts: [...mounts, ...shared], Sysctls: { ...sysctls } };
}
