import { join } from 'node:path';
import { readSeccompProfile } from '../seccomp.js';
import type { BundleSettings } from './bundle.js';
import { type Cgroups, openCgroups } from './cgroup/cgroups.js';
import { openRoom, type Room } from './room.js';
import { type Runtime, runtimeTraits } from './runtime.js';
import { toOciSeccomp } from './seccomp.js';
import { openUserNamespace } from './user-namespace.js';
import type { Site, WorkshopOptions } from './workshop.js';

/** What sandboxes of one runtime are made with. */
export interface Equipment {
  readonly room: Room;
  readonly cgroups: Cgroups;
  readonly bundle: BundleSettings;
  close(): Promise<void>;
}

/** @throws SandboxError `engine_unavailable`; nothing is left behind then */
export async function openEquipment(options: WorkshopOptions, site: Site, runtime: Runtime): Promise<Equipment> {
  const { instance, hierarchy, python, host, shown } = site;
  const { users } = options;
  const traits = runtimeTraits[runtime.kind];
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const room = await openRoom({
      directory: join(instance.directory, `room-${runtime.kind}`),
      runtime: runtime.path,
      strayCgroups: hierarchy.version === 1 ? hierarchy.stray : undefined,
      users,
      python: python?.path,
      root: host.path,
      rootFlags: traits.rootFlags,
      shown,
    });
    closers.push(room.close);
    const userNamespace = traits.userNamespace === 'shared' ? await openUserNamespace(users) : undefined;
    if (userNamespace !== undefined) closers.push(userNamespace.close);
    const cgroups = openCgroups(hierarchy, instance.name);
    closers.push(async () => cgroups.remove());
    const seccomp = toOciSeccomp(readSeccompProfile());
    const common = { ...options, seccomp, seccompFilter: undefined, traits };
    const bundle = { ...common, devices: room.devices, userNamespace: userNamespace?.path };
    return { room, cgroups, bundle, close };
  } catch (error) {
    await close();
    throw error;
  }
}
