import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError, type SandboxMaking, type SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import { buildHostRoot } from '../rootfs/host.js';
import { findHostPython, type HostPython } from '../rootfs/python.js';
import type { RootFileSystem } from '../rootfs/root.js';
import type { OciBackendOptions } from './backend.js';
import { type Hierarchy, readHierarchy } from './cgroup/hierarchy.js';
import { openEquipment } from './equipment.js';
import { type Instance, openInstance } from './instance.js';
import { createMaker, type Maker } from './maker.js';
import { createPreloadMaker } from './preload-maker.js';
import { createRoots } from './roots.js';
import { findRuntime, type Runtime, runtimeTraits, usualRuntimes } from './runtime.js';
import { tryRuntime } from './trial.js';
import { createZygoteMaker, type ZygoteMaker } from './zygote-maker.js';

/** Everything that takes time to prepare and serves every sandbox of one start of a server. */
export interface Workshop {
  readonly runtime: Runtime;
  readonly hasHostRoot: boolean;
  /** @throws SandboxError `image_unavailable`, `engine_unavailable` or `internal`; the abort reason */
  create(spec: SandboxSpec, options: { readonly signal: AbortSignal }): Promise<Sandbox>;
  /** Says how sandboxes are made now, and why so. */
  describe(): SandboxMaking;
  /** Tries again to remove what could not be removed. Returns how many it has. */
  reap(): Promise<number>;
  /** Destroys every sandbox and lets go of everything. */
  close(): Promise<void>;
}

export type WorkshopOptions = Required<OciBackendOptions>;

/** What does not depend on the runtime. */
export interface Site {
  readonly instance: Instance;
  readonly hierarchy: Hierarchy;
  readonly python: HostPython | undefined;
  readonly host: RootFileSystem;
  /** By path on the host, where it is shown. */
  readonly shown: ReadonlyMap<string, string>;
}

/** @throws SandboxError `engine_unavailable` when sandboxes cannot be made here; nothing is left behind then */
export async function openWorkshop(options: WorkshopOptions): Promise<Workshop> {
  if (process.getuid?.() !== 0) {
    throw new SandboxError('engine_unavailable', 'Cannot make sandboxes without an engine: only root can');
  }
  const hierarchy = readHierarchy();
  const instance = await openInstance(options.runtimeDir, options.ownerId);
  try {
    const site = await openSite(options, instance, hierarchy);
    const reasons: string[] = [];
    for (const name of options.runtime === '' ? usualRuntimes : [options.runtime]) {
      try {
        return await equip(options, site, await findRuntime(name));
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    throw new SandboxError('engine_unavailable', reasons.join('; '));
  } catch (error) {
    await instance.close();
    throw error;
  }
}

async function openSite(options: WorkshopOptions, instance: Instance, hierarchy: Hierarchy): Promise<Site> {
  const path = join(instance.directory, 'root');
  await mkdir(path);
  const python = await findHostPython(options.hostPython);
  const { shown, environment } = buildHostRoot(path, { python, users: options.users });
  const host = { path, mounts: shown, environment };
  return { instance, hierarchy, python, host, shown: new Map(shown.map((source) => [source, join(path, source)])) };
}

/** Prepares what a runtime needs and runs something by it. */
async function equip(options: WorkshopOptions, site: Site, runtime: Runtime): Promise<Workshop> {
  const { instance, python, host } = site;
  const equipment = await openEquipment(options, site, runtime);
  const { room, cgroups, bundle } = equipment;
  const common = { ...options, directory: instance.directory, cgroups, room };
  const hostNames = python === undefined ? [] : [...options.hostImages, `python:${python.version}-slim`];
  const roots = createRoots({ ...options, room, host, hostImages: hostNames });

  const canFork = options.zygotes.enabled && runtime.kind !== 'runsc';

  function withZygotes(fallback: Maker): Maker | ZygoteMaker {
    return canFork ? createZygoteMaker({ ...common, ...options.zygotes, fallback, bundle }) : fallback;
  }

  function withPreloads(fallback: Maker): Maker {
    if (options.packerSource === '' || runtimeTraits[runtime.kind].descriptorOptions === undefined) return fallback;
    return createPreloadMaker({ ...common, fallback });
  }

  try {
    const { seccompFilter } = await tryRuntime(createMaker({ ...common, bundle }), { runtime, root: host });
    const containers = createMaker({ ...common, bundle: { ...bundle, seccompFilter } });
    const maker = withZygotes(withPreloads(containers));
    return {
      runtime,
      hasHostRoot: python !== undefined,
      async create(spec, { signal }) {
        const root = await roots.find(spec.image);
        signal.throwIfAborted();
        const command = ['python3', '-I', '-S', '-c', options.agentSource, ...options.agentArguments(spec)];
        return await maker.make({ spec, root, command });
      },
      describe() {
        const trouble = 'trouble' in maker ? maker.trouble : undefined;
        const way = canFork && trouble === undefined ? 'zygote' : 'container';
        const why = describeChoice(runtime, options, trouble);
        return { backend: 'oci', runtime: `${runtime.kind} ${runtime.version}`, way, why };
      },
      reap: () => maker.reap(),
      async close() {
        await maker.close();
        await equipment.close();
        await instance.close();
      },
    };
  } catch (error) {
    await equipment.close();
    throw error;
  }
}

function describeChoice({ kind }: Runtime, { zygotes }: WorkshopOptions, trouble: string | undefined): string {
  // It has no namespaces of its own to fork into.
  if (kind === 'runsc') return 'inside gVisor nothing can be forked into namespaces';
  if (!zygotes.enabled) return 'PYEXEC_ZYGOTE is "off"';
  if (trouble !== undefined) return `no sandbox could be forked: ${trouble}`;
  return 'PYEXEC_ZYGOTE is "on"; those with pre_commands are containers';
}
