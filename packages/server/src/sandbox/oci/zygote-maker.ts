import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Sandbox } from '../backend.js';
import { tmpfsMounts } from '../containment.js';
import type { RootFileSystem } from '../rootfs/root.js';
import type { Cgroup } from './cgroup/cgroups.js';
import { encodeDescription } from './description.js';
import { limitsOf, type Maker, type MakerOptions, type SandboxRequest } from './maker.js';
import { counting, removeCgroup } from './sandbox.js';
import { permitJoin, startZygote, type Zygote } from './zygote.js';

export interface ZygoteMakerOptions extends MakerOptions {
  /** Makes what a zygote does not: sandboxes with pre_commands, and all while no zygote works. */
  readonly fallback: Maker;
  readonly agentSource: string;
  /** A zygote is replaced after so many sandboxes, */
  readonly sandboxesMax: number;
  /** or when it is so old, ms: its sandboxes share hash seed and address layout. */
  readonly ageMsMax: number;
  /** Hears of a zygote that could not be started or died, with why. */
  readonly onTrouble: (error: unknown) => void;
}

/** A sandbox that does not come up in this time tells that its zygote hangs. */
const forkTimeoutMs = 5_000;
/** Zygotes that are asked for a sandbox, one after the other, before a container is made. */
const attemptsMax = 2;
/** After a zygote could not be started, containers are made for so long before another is tried. */
const restAfterFailureMs = 10_000;

/** Makes sandboxes as forks of an interpreter that is up already, one for each root file system. */
export function createZygoteMaker(options: ZygoteMakerOptions): Maker {
  const { fallback, cgroups, bundle } = options;
  const zygotes = new Map<string, Promise<Zygote>>();
  const retired = new Set<Zygote>();
  const abandoned = new WeakSet<Zygote>();
  const live = new Map<Sandbox, Zygote>();
  let restUntilMs = 0;

  async function zygoteFor(root: RootFileSystem): Promise<Zygote> {
    const known = zygotes.get(root.path);
    const zygote = await known?.catch(() => undefined);
    if (zygote !== undefined && isFresh(zygote)) return zygote;
    // Whoever waited for the same one finds the next here.
    if (zygotes.get(root.path) === known) {
      if (zygote !== undefined) retire(zygote);
      zygotes.set(root.path, startZygote({ ...options, stateDirectory: fallback.stateDirectory, root }));
    }
    return await (zygotes.get(root.path) as Promise<Zygote>);
  }

  function isFresh(zygote: Zygote): boolean {
    if (!zygote.alive || abandoned.has(zygote)) return false;
    return zygote.forks < options.sandboxesMax && performance.now() - zygote.bornMs < options.ageMsMax;
  }

  /** It stays as long as there are sandboxes of it. */
  function retire(zygote: Zygote): void {
    retired.add(zygote);
    endUnused();
  }

  function endUnused(): void {
    const used = new Set(live.values());
    for (const zygote of retired) {
      if (used.has(zygote) && zygote.alive) continue;
      retired.delete(zygote);
      zygote.destroy().catch(options.onTrouble);
    }
  }

  async function fork(request: SandboxRequest): Promise<Sandbox> {
    const zygote = await zygoteFor(request.root);
    const id = randomBytes(8).toString('hex');
    const cgroup = cgroups.create(
      id,
      { ...limitsOf(request.spec, options), processesMax: options.processesMax },
      'processes',
    );
    let socket: Socket | undefined;
    try {
      for (const file of cgroup.joinFiles) permitJoin(file, bundle.users.first);
      const writable = tmpfsMounts({ diskBytes: request.spec.diskBytes, inodesMax: options.inodesMax });
      socket = await zygote.connect(encodeDescription({ cgroup: id, writable }));
      await whenUp(socket, zygote);
    } catch (error) {
      // Whatever is wrong with it: the next sandbox comes of another, and those that it made go on.
      abandoned.add(zygote);
      socket?.destroy();
      await removeCgroup(cgroup);
      throw error;
    }
    const sandbox = forkedSandbox(id, socket, cgroup, (error) => {
      live.delete(sandbox);
      endUnused();
      if (error !== undefined) options.onLeftover(id, error);
    });
    live.set(sandbox, zygote);
    return sandbox;
  }

  return {
    stateDirectory: fallback.stateDirectory,
    async make(request) {
      if (request.spec.privilege === 'setup' || performance.now() < restUntilMs) return await fallback.make(request);
      for (let attemptsLeft = attemptsMax; attemptsLeft > 0; attemptsLeft -= 1) {
        try {
          return await fork(request);
        } catch (error) {
          // The next attempt finds another zygote if this one died.
          options.onTrouble(error);
        }
      }
      restUntilMs = performance.now() + restAfterFailureMs;
      return await fallback.make(request);
    },
    reap: () => fallback.reap(),
    async close() {
      await Promise.all([...live.keys()].map((sandbox) => sandbox.destroy()));
      const all = await Promise.all([...zygotes.values()].map((zygote) => zygote.catch(() => undefined)));
      await Promise.all([...retired, ...all].map((zygote) => zygote?.destroy()));
      await fallback.close();
    },
  };
}

/** Waits for the agent's first word, without reading it. */
async function whenUp(socket: Socket, zygote: Zygote): Promise<void> {
  const deadline = AbortSignal.timeout(forkTimeoutMs);
  try {
    await Promise.race([
      once(socket, 'readable', { signal: deadline }),
      once(socket, 'close', { signal: deadline }).then(() => {
        throw new Error('The zygote made no sandbox');
      }),
    ]);
  } catch (error) {
    if (deadline.aborted) void zygote.destroy();
    throw error;
  }
}

function forkedSandbox(id: string, socket: Socket, cgroup: Cgroup, onGone: (error?: unknown) => void): Sandbox {
  let destroying: Promise<void> | undefined;
  socket.on('error', () => {});
  return {
    id,
    stdin: socket,
    stdout: socket,
    // The agent's own troubles are told by the zygote.
    stderr: Readable.from([]),
    ...counting(cgroup, () => destroying === undefined),
    destroy() {
      destroying ??= Promise.resolve().then(async () => {
        socket.destroy();
        await removeCgroup(cgroup).then(() => onGone(), onGone);
      });
      return destroying;
    },
  };
}
