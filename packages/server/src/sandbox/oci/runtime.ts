import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SandboxError } from '../../jobs/ports.js';
import { findExecutable, systemPath } from '../rootfs/executable.js';

/** A program that runs containers. */
export interface Runtime {
  readonly kind: RuntimeKind;
  /** E.g. `/usr/bin/crun`. */
  readonly path: string;
  /** E.g. `1.8.1`. */
  readonly version: string;
}

export type RuntimeKind = 'crun' | 'runc' | 'runsc';

/** In which respects runtimes differ. */
export interface RuntimeTraits {
  /** Options of the runtime, before its command. */
  readonly options: readonly string[];
  /** More of them for a sandbox that may write to its root; undefined when it has to find a root that can be written to. */
  readonly writableRootOptions: readonly string[] | undefined;
  /** With which flags a root file system is mounted before it gets it. */
  readonly rootFlags: string;
  /** `join`: it makes no cgroup, so it and all that it starts stay in ours. `below`: it makes its own below ours. */
  readonly cgroups: 'join' | 'below';
  /** `own`: it brings the files in /dev, and would not open those of the host. */
  readonly devices: 'ours' | 'own';
  /** `shared`: it joins the one that all sandboxes are in. `own`: it makes one for each. */
  readonly userNamespace: 'shared' | 'own';
  /** `runtime`: it sets the limits of a process itself. `before`: it may not, in a namespace that is not its own. */
  readonly processLimits: 'runtime' | 'before';
  /** Options of `run` that hand a descriptor of the host, number 3, on to the container; undefined when it hands on none. */
  readonly descriptorOptions: readonly string[] | undefined;
  /** How many processes and threads the sandbox's cgroup has to let be, for so many inside. */
  readonly processesMax: (inside: number) => number;
}

/** The programs in it are to be executed even if it lies on a disk whose are not. Of its devices none is to be opened. */
const strictRootFlags = 'ro,exec,nosuid,nodev';

export const runtimeTraits: Readonly<Record<RuntimeKind, RuntimeTraits>> = {
  crun: {
    options: ['--cgroup-manager=disabled'],
    writableRootOptions: undefined,
    rootFlags: strictRootFlags,
    cgroups: 'join',
    devices: 'ours',
    userNamespace: 'shared',
    processLimits: 'runtime',
    descriptorOptions: ['--preserve-fds', '1'],
    // It watches over its container from inside the cgroup.
    processesMax: (inside) => inside + 1,
  },
  runc: {
    options: [],
    writableRootOptions: undefined,
    rootFlags: strictRootFlags,
    cgroups: 'below',
    devices: 'ours',
    userNamespace: 'shared',
    processLimits: 'before',
    descriptorOptions: ['--preserve-fds', '1'],
    processesMax: (inside) => inside,
  },
  runsc: {
    // Not --oci-seccomp: with it versions of 2022 start no thread, and behind gVisor's own kernel nothing depends on it.
    options: ['--network=none', '--ignore-cgroups', '--overlay2=none'],
    // Changes of its root lie in its memory, which our limit covers.
    writableRootOptions: ['--overlay2=root:memory'],
    // It opens no device of its root, and fails when it is to keep a flag that it does not know of.
    rootFlags: 'ro,exec,suid,dev',
    cgroups: 'join',
    devices: 'own',
    // What the kernel counts by user, gVisor has of its own.
    userNamespace: 'own',
    processLimits: 'runtime',
    descriptorOptions: undefined,
    // A process inside is several threads of gVisor and a process to hold its memory; without one of them all ends.
    processesMax: (inside) => 6 * inside + 64,
  },
};

/** What is tried when no runtime is asked for, the fastest first. */
export const usualRuntimes: readonly string[] = ['crun', 'runc'];

const timeoutMs = 10_000;

/**
 * Finds a runtime on this machine and asks it what it is.
 *
 * @param name of the program, or its path
 * @throws SandboxError `engine_unavailable`
 */
export async function findRuntime(name: string): Promise<Runtime> {
  const path = await findExecutable(name);
  if (path === undefined) throw unavailable(name, 'it is not installed');
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], {
      timeout: timeoutMs,
      env: { PATH: systemPath },
    });
    const [, kind, version = ''] = /^(crun|runc|runsc) version:? (?:release-)?(\S+)/m.exec(stdout) ?? [];
    if (kind === undefined) throw unavailable(name, `it is none of ${Object.keys(runtimeTraits).join(', ')}`);
    return { kind: kind as RuntimeKind, path, version };
  } catch (error) {
    throw error instanceof SandboxError ? error : unavailable(name, (error as Error).message, error);
  }
}

function unavailable(name: string, reason: string, cause?: unknown): SandboxError {
  return new SandboxError('engine_unavailable', `Cannot use runtime ${JSON.stringify(name)}: ${reason}`, { cause });
}
