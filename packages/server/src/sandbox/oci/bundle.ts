import type { SandboxSpec } from '../../jobs/ports.js';
import {
  capabilitiesOf,
  coreBytesMax,
  hostName,
  maskedPaths,
  oomScoreAdjustment,
  readonlyPaths,
  sandboxEnvironment,
  sharedMemoryBytes,
  tmpfsMounts,
  userOf,
  workDirectory,
} from '../containment.js';
import type { UserRange } from '../rootfs/root.js';
import { isInProc } from './description.js';
import type { RuntimeTraits } from './runtime.js';
import { type OciSeccomp, permitNamespaces } from './seccomp.js';

/** What is the same for every sandbox of a backend. */
export interface BundleSettings {
  readonly users: UserRange;
  readonly inodesMax: number;
  readonly openFilesMax: number;
  /** How many threads native libraries start. */
  readonly cpuCount: number;
  readonly seccomp: OciSeccomp;
  /** The filter that crun once made of the profile: it need not make it for every sandbox. Undefined for others. */
  readonly seccompFilter: Uint8Array | undefined;
  /** Where the files of /dev are; see room.ts. */
  readonly devices: string;
  /** Path of the user namespace to join; undefined lets the runtime make one. */
  readonly userNamespace: string | undefined;
  readonly traits: RuntimeTraits;
}

/** What differs from sandbox to sandbox. */
export interface BundleSubject {
  readonly spec: SandboxSpec;
  /** What pid 1 executes. */
  readonly command: readonly string[];
  /** The root file system. */
  readonly root: string;
  /** Its variables, as `KEY=value`. */
  readonly environment: readonly string[];
  /** Where a runtime that makes a cgroup has to make it. */
  readonly cgroupsPath: string;
}

/** The configuration of a container as OCI runtimes take it. Of what clients send, only numbers get here. */
export function describeBundle(subject: BundleSubject, settings: BundleSettings): object {
  const { spec, root } = subject;
  const filter = settings.seccompFilter;
  return {
    ociVersion: '1.0.2',
    hostname: hostName,
    root: { path: root, readonly: spec.privilege === 'program' },
    process: describeProcess(subject, settings, { user: userOf(spec), capabilities: capabilitiesOf(spec) }),
    mounts: describeMounts(spec, settings),
    ...(filter && { annotations: { 'run.oci.seccomp_bpf_data': Buffer.from(filter).toString('base64') } }),
    linux: {
      ...describeNamespaces(['cgroup'], settings),
      maskedPaths,
      readonlyPaths,
      seccomp: settings.seccomp,
      ...(settings.traits.cgroups === 'below' && { cgroupsPath: subject.cgroupsPath }),
    },
  };
}

export interface ZygoteSubject extends Omit<BundleSubject, 'spec'> {
  /** Directories of the host that it alone sees, and where. */
  readonly binds: readonly { readonly source: string; readonly destination: string }[];
}

/** What it takes to make a namespace of each kind, to set it up, and to give all of this up again. */
const zygoteCapabilities = ['KILL', 'NET_ADMIN', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_ADMIN'].map(
  (name) => `CAP_${name}`,
);
/** Its sandboxes get what they may write to from their own spec. */
const zygoteSpec = { privilege: 'program', network: 'none', diskBytes: 1024 * 1024 } as const;

/**
 * The container of a zygote: that of a sandbox, but it is root in its user namespace, sees all of its /proc, and stays in
 * the cgroup namespace of the host, because it moves its children to cgroups beside its own.
 */
export function describeZygoteBundle(subject: ZygoteSubject, settings: BundleSettings): object {
  const binds = subject.binds.map((bind) => ({
    ...bind,
    type: 'bind',
    options: ['bind', 'nosuid', 'nodev', 'noexec'],
  }));
  return {
    ociVersion: '1.0.2',
    hostname: hostName,
    root: { path: subject.root, readonly: true },
    process: describeProcess(subject, settings, { user: { uid: 0, gid: 0 }, capabilities: zygoteCapabilities }),
    mounts: [...describeMounts(zygoteSpec, settings), ...binds],
    linux: {
      ...describeNamespaces([], settings),
      // The kernel lets nobody mount a /proc who does not see all of one.
      maskedPaths: maskedPaths.filter((path) => !isInProc(path)),
      readonlyPaths: readonlyPaths.filter((path) => !isInProc(path)),
      seccomp: permitNamespaces(settings.seccomp),
      ...(settings.traits.cgroups === 'below' && { cgroupsPath: subject.cgroupsPath }),
    },
  };
}

function describeNamespaces(more: readonly string[], { users, userNamespace }: BundleSettings): object {
  const mapping = [{ containerID: 0, hostID: users.first, size: users.count }];
  return {
    namespaces: [
      ...['pid', 'mount', 'ipc', 'uts', 'network', ...more].map((type) => ({ type })),
      { type: 'user', ...(userNamespace !== undefined && { path: userNamespace }) },
    ],
    uidMappings: mapping,
    gidMappings: mapping,
  };
}

interface Identity {
  readonly user: { readonly uid: number; readonly gid: number };
  readonly capabilities: readonly string[];
}

function describeProcess(
  { command, environment }: Pick<BundleSubject, 'command' | 'environment'>,
  settings: BundleSettings,
  { user, capabilities }: Identity,
): object {
  return {
    terminal: false,
    user: { ...user, additionalGids: [user.gid] },
    args: command,
    env: [...environment, `HOSTNAME=${hostName}`, ...sandboxEnvironment({ cpuCount: settings.cpuCount })],
    cwd: workDirectory,
    noNewPrivileges: true,
    capabilities: {
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: [],
      ambient: [],
    },
    ...(settings.traits.processLimits === 'runtime' && {
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: settings.openFilesMax, hard: settings.openFilesMax },
        { type: 'RLIMIT_CORE', soft: coreBytesMax, hard: coreBytesMax },
      ],
    }),
    oomScoreAdj: oomScoreAdjustment,
  };
}

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

function describeMounts(spec: Pick<SandboxSpec, 'diskBytes'>, settings: BundleSettings): readonly Mount[] {
  const closed = ['nosuid', 'noexec', 'nodev'];
  const terminals = ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'];
  const devices: readonly Mount[] = [
    { destination: '/dev', type: 'bind', source: settings.devices, options: ['bind', 'ro', 'nosuid', 'noexec'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', ...terminals] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: closed },
  ];
  const writable = tmpfsMounts({ diskBytes: spec.diskBytes, inodesMax: settings.inodesMax });
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: closed },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...closed, 'ro'] },
    ...(settings.traits.devices === 'ours' ? devices : []),
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...closed, 'mode=1777', `size=${sharedMemoryBytes}`],
    },
    ...writable.map(({ path, options }) => ({ destination: path, type: 'tmpfs', source: 'tmpfs', options })),
  ];
}
