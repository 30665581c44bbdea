import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { Backend } from '../backend.js';
import { listImages } from '../rootfs/images.js';
import type { UserRange } from '../rootfs/root.js';
import { reapInstances } from './reap.js';
import { openWorkshop, type Workshop } from './workshop.js';
import type { ZygoteMakerOptions } from './zygote-maker.js';

export interface OciBackendOptions {
  /** Name or path of `crun`, `runc` or `runsc`; empty for the first of crun and runc that works here. */
  readonly runtime: string;
  /** The Python program that is pid 1 inside. */
  readonly agentSource: string;
  /** The Python program that packs it for an interpreter; see agent/preload.py. It is not packed unless given. */
  readonly packerSource?: string;
  /** What follows it on its command line; nothing unless given. */
  readonly agentArguments?: (spec: SandboxSpec) => readonly string[];
  /** Whose sandboxes these are: the same for every start of one server, and of no other server. */
  readonly ownerId: string;
  /** Where unpacked images are. */
  readonly imagesDir: string;
  /** Names of images in whose place the host's own Python is used, unless there is such an image. */
  readonly hostImages: readonly string[];
  /** The host's interpreter; empty for the distribution's. */
  readonly hostPython: string;
  readonly processesMax: number;
  readonly inodesMax: number;
  readonly openFilesMax: number;
  /** How many threads native libraries start in a sandbox. 1 unless given. */
  readonly cpuCount?: number;
  /** For what lasts as long as the server. Everybody must be able to pass through it. /run/python-executor unless given. */
  readonly runtimeDir?: string;
  /** Users of the host that no account has. {@link usualUsers} unless given. */
  readonly users?: UserRange;
  /** Sandboxes forked from an interpreter that is up already; a container for each unless given. */
  readonly zygotes?: ZygoteSettings;
  /** Hears why sandboxes are made in a slower way than they could be. */
  readonly onTrouble?: (error: unknown) => void;
  /** Hears of sandboxes that could not be removed and are left to {@link Backend.reap}, with why. */
  readonly onLeftover?: (sandbox: string, error: unknown) => void;
}

export interface ZygoteSettings
  extends Pick<ZygoteMakerOptions, 'sandboxesMax' | 'ageMsMax' | 'memoryBytesMax' | 'observer'> {
  readonly enabled: boolean;
}

const noZygotes: ZygoteSettings = {
  enabled: false,
  sandboxesMax: 0,
  ageMsMax: 0,
  memoryBytesMax: 0,
};

const usualRuntimeDir = '/run/python-executor';

/** Beyond what distributions give to accounts and to their containers. */
export const usualUsers: UserRange = Object.freeze({ first: 2_000_000_000, count: 65_536 });

/**
 * Sandboxes that are containers of an OCI runtime, without an engine. What they have in common is prepared when the
 * first is asked for; a failure to do so is tried again every time.
 */
export function createOciBackend(options: OciBackendOptions): Backend {
  const { imagesDir } = options;
  const settings = {
    ...options,
    cpuCount: options.cpuCount ?? 1,
    runtimeDir: options.runtimeDir ?? usualRuntimeDir,
    users: options.users ?? usualUsers,
    agentArguments: options.agentArguments ?? (() => []),
    zygotes: options.zygotes ?? noZygotes,
    packerSource: options.packerSource ?? '',
    onTrouble: options.onTrouble ?? (() => {}),
    onLeftover: options.onLeftover ?? (() => {}),
  };
  let opening: Promise<Workshop> | undefined;
  let closed = false;

  function open(): Promise<Workshop> {
    if (closed) throw new SandboxError('engine_unavailable', 'Cannot make a sandbox: the server is closing');
    opening ??= openWorkshop(settings).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  }

  return {
    name: 'oci',
    networks: ['none'],
    async create(spec, { signal }) {
      signal.throwIfAborted();
      const workshop = await open();
      return await workshop.create(spec, { signal });
    },
    async reap() {
      const own = opening === undefined ? 0 : await opening.then((workshop) => workshop.reap());
      return own + (await reapInstances(settings.runtimeDir));
    },
    async probe() {
      const workshop = await open();
      if (workshop.hasHostRoot || (await listImages(imagesDir)).length > 0) return;
      const remedy = 'install python3, or add an image with: python-executor images add IMAGE';
      throw new SandboxError('engine_unavailable', `Cannot make a sandbox: there is no Python for it; ${remedy}`);
    },
    async describe() {
      const workshop = await open();
      return workshop.describe();
    },
    async close() {
      closed = true;
      const workshop = await opening?.catch(() => undefined);
      await workshop?.close();
    },
  };
}
