import type { SandboxSpec } from '../jobs/ports.js';

/**
 * What holds a sandbox, whichever backend makes it. A program gets user 1000 and nothing else; an agent that must
 * prepare the sandbox as root first gets the few capabilities that takes and gives them up before the program runs.
 */
export const sandboxUser = Object.freeze({ uid: 1000, gid: 1000 });
const rootUser = Object.freeze({ uid: 0, gid: 0 });

export const hostName = 'sandbox';
export const workDirectory = '/work';
export const temporaryDirectory = '/tmp';

/** Size of /dev/shm, which the sandbox shares with nobody. */
export const sharedMemoryBytes = 64 * 1024 * 1024;

/** Positive, so that a host short of memory kills a sandbox before it kills a service. */
export const oomScoreAdjustment = 500;

/**
 * One byte, not zero: a limit of zero stops core files but still pipes every core into the host's crash handler, where
 * there is one. One is the value for which the kernel does neither.
 */
export const coreBytesMax = 1;

/** Less does not even start an interpreter, and engines refuse it. */
export const memoryBytesMin = 6 * 1024 * 1024;

/** The kernel's own least weight. */
export const cpuSharesMin = 2;

/** What nobody inside may read: they tell of the host, its hardware and its other processes. */
export const maskedPaths: readonly string[] = Object.freeze([
  '/proc/acpi',
  '/proc/asound',
  '/proc/cmdline',
  '/proc/config.gz',
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/key-users',
  '/proc/keys',
  '/proc/kmsg',
  '/proc/latency_stats',
  '/proc/modules',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/dmi',
  '/sys/devices/virtual/powercap',
  '/sys/devices/virtual/thermal',
  '/sys/firmware',
  '/sys/kernel/debug',
  '/sys/kernel/security',
  '/sys/kernel/tracing',
]);

export const readonlyPaths: readonly string[] = Object.freeze([
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]);

/** What package managers need to unpack files of other owners and to drop to users of their own. */
const setupCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETPCAP', 'SETUID'];

/** What it takes to confine a network and to become user 1000 afterwards. No sandbox has it; see docker/gate.ts. */
export const gateCapabilities: readonly string[] = Object.freeze(
  toCapabilities(['NET_ADMIN', 'SETGID', 'SETPCAP', 'SETUID']),
);

type Trust = Pick<SandboxSpec, 'privilege'>;

/** The capabilities with which the agent begins, e.g. `CAP_SETUID`. */
export function capabilitiesOf(spec: Trust): readonly string[] {
  return spec.privilege === 'setup' ? toCapabilities(setupCapabilities) : [];
}

/** As whom the agent begins. Root only where it has something to prepare. */
export function userOf(spec: Trust): { readonly uid: number; readonly gid: number } {
  return spec.privilege === 'setup' ? rootUser : sandboxUser;
}

function toCapabilities(names: readonly string[]): readonly string[] {
  return names.map((name) => `CAP_${name}`);
}

export interface Tmpfs {
  readonly path: string;
  readonly options: readonly string[];
}

/** The places that a program may write to. They lie in memory and are charged to the sandbox. */
export function tmpfsMounts(limits: { readonly diskBytes: number; readonly inodesMax: number }): readonly Tmpfs[] {
  const { uid, gid } = sandboxUser;
  const shared = ['rw', 'exec', 'nosuid', 'nodev', `size=${limits.diskBytes}`, `nr_inodes=${limits.inodesMax}`];
  return [
    { path: workDirectory, options: [...shared, 'mode=0755', `uid=${uid}`, `gid=${gid}`] },
    { path: temporaryDirectory, options: [...shared, 'mode=1777', `uid=${uid}`, `gid=${gid}`] },
  ];
}

const threadVariables = [
  'BLIS_NUM_THREADS',
  'MKL_NUM_THREADS',
  'NUMBA_NUM_THREADS',
  'NUMEXPR_NUM_THREADS',
  'OMP_NUM_THREADS',
  'OPENBLAS_NUM_THREADS',
  'POLARS_MAX_THREADS',
  'RAYON_NUM_THREADS',
  'VECLIB_MAXIMUM_THREADS',
];

/**
 * What the environment of a sandbox holds on top of the image's own, as `KEY=value`. Caches point to where a program
 * may write. Native libraries would start a thread for each processor of the host; they start `cpuCount`.
 */
export function sandboxEnvironment(options: { readonly cpuCount: number }): readonly string[] {
  const cache = `${temporaryDirectory}/.cache`;
  return [
    `HOME=${workDirectory}`,
    // User 1000 has no entry in most images, and getpass.getuser() asks this variable before it asks for one.
    'USER=sandbox',
    `XDG_CACHE_HOME=${cache}`,
    `PIP_CACHE_DIR=${cache}/pip`,
    `MPLCONFIGDIR=${cache}/matplotlib`,
    `NUMBA_CACHE_DIR=${cache}/numba`,
    ...threadVariables.map((name) => `${name}=${options.cpuCount}`),
  ];
}
