import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import { cpuSharesMin, memoryBytesMin } from '../containment.js';
import type { RootFileSystem, UserRange } from '../rootfs/root.js';
import { type BundleSettings, describeBundle } from './bundle.js';
import type { Cgroup, CgroupLimits, Cgroups, CgroupUse } from './cgroup/cgroups.js';
import { type Launch, launchCommand, makesWritable, rootOf, writableOf } from './launch.js';
import type { Room } from './room.js';
import type { RuntimeTraits } from './runtime.js';
import { removeTraces, type SandboxParts, startSandbox } from './sandbox.js';

export interface SandboxRequest {
  readonly spec: SandboxSpec;
  readonly root: RootFileSystem;
  /** What pid 1 executes. */
  readonly command: readonly string[];
  /** A descriptor of ours, which pid 1 gets as its number 3. */
  readonly handedOn?: number;
}

/** One way to make sandboxes. */
export interface Maker {
  /** Where the runtime keeps its account of containers. */
  readonly stateDirectory: string;
  /** @throws SandboxError `internal`; nothing is left behind then */
  make(request: SandboxRequest): Promise<Sandbox>;
  /** Tries again to remove what could not be removed. Returns how many it has. */
  reap(): Promise<number>;
  /** Destroys every sandbox. */
  close(): Promise<void>;
}

export interface MakerOptions {
  /** Where sandboxes have their directories, and the runtime its account of them. */
  readonly directory: string;
  readonly cgroups: Cgroups;
  readonly room: Room;
  readonly bundle: BundleSettings;
  readonly users: UserRange;
  readonly inodesMax: number;
  readonly processesMax: number;
  readonly onLeftover: (sandbox: string, error: unknown) => void;
}

/** Makes each sandbox by a run of the runtime, as a container of its own. */
export function createMaker(options: MakerOptions): Maker {
  const { directory, cgroups, room } = options;
  const { traits } = options.bundle;
  const stateDirectory = join(directory, 'state');
  const live = new Set<Sandbox>();
  const leftovers = new Set<Omit<SandboxParts, 'onGone'>>();
  mkdirSync(stateDirectory, { recursive: true });

  async function start(launch: Launch, cgroup: Cgroup, request: SandboxRequest): Promise<Sandbox> {
    writeBundle(launch, cgroup, request, options.bundle);
    const traces = { id: launch.id, cgroup, directory: launch.directory, stateDirectory };
    const onGone = (error?: unknown): void => {
      live.delete(sandbox);
      if (error === undefined) return;
      leftovers.add(traces);
      options.onLeftover(launch.id, error);
    };
    const command = launchCommand(launch, { room, cgroup });
    const descriptors = [room.descriptor, ...(request.handedOn === undefined ? [] : [request.handedOn])];
    const sandbox = await startSandbox(command, descriptors, { ...traces, onGone });
    live.add(sandbox);
    return sandbox;
  }

  return {
    stateDirectory,
    async make(request) {
      const { spec, root } = request;
      const id = randomBytes(8).toString('hex');
      const own = join(directory, 'sandboxes', id);
      const { openFilesMax } = options.bundle;
      const handsOn = request.handedOn === undefined ? 'nothing' : 'file';
      const launch: Launch = {
        ...{ ...options, id, spec, root, traits, openFilesMax, directory: own, stateDirectory, handsOn },
      };
      let cgroup: Cgroup | undefined;
      try {
        cgroup = cgroups.create(id, limitsOf(spec, options), useOf(traits));
        return await start(launch, cgroup, request);
      } catch (error) {
        if (cgroup !== undefined)
          await removeTraces({ ...launch, cgroup }).catch((cause) => options.onLeftover(id, cause));
        throw new SandboxError('internal', `Cannot start sandbox: ${(error as Error).message}`, { cause: error });
      }
    },
    async reap() {
      const before = leftovers.size;
      for (const traces of leftovers) {
        await removeTraces(traces).then(
          () => leftovers.delete(traces),
          (error: unknown) => options.onLeftover(traces.id, error),
        );
      }
      return before - leftovers.size;
    },
    async close() {
      await Promise.all([...live].map((sandbox) => sandbox.destroy()));
    },
  };
}

/** The limits of a sandbox's cgroup when it is a container of the runtime. */
export function limitsOf(spec: SandboxSpec, options: MakerOptions): CgroupLimits {
  return {
    memoryBytes: Math.max(spec.memoryBytes, memoryBytesMin),
    cpuShares: Math.max(spec.cpuShares, cpuSharesMin),
    processesMax: options.bundle.traits.processesMax(options.processesMax),
  };
}

/** Who is in the cgroup of a container. */
export function useOf({ cgroups }: Pick<RuntimeTraits, 'cgroups'>): CgroupUse {
  return cgroups === 'below' ? 'runtime' : 'processes';
}

/** Synchronous, because it is some writes into memory: waiting for them would take longer. */
function writeBundle(launch: Launch, cgroup: Cgroup, request: SandboxRequest, settings: BundleSettings): void {
  mkdirSync(launch.directory, { recursive: true });
  if (makesWritable(launch)) {
    mkdirSync(writableOf(launch));
    // Root of the sandbox is nobody here and has to get to its root.
    for (const path of [join(launch.directory, '..'), launch.directory]) chmodSync(path, 0o711);
  }
  const subject = {
    ...request,
    root: rootOf(launch),
    environment: request.root.environment,
    cgroupsPath: cgroup.runtimePath,
  };
  writeFileSync(join(launch.directory, 'config.json'), JSON.stringify(describeBundle(subject, settings)), {
    mode: 0o600,
  });
}
