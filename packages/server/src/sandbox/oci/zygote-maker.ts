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
  /** or when its own memory has grown so much: what it forks begins with all of it. */
  readonly memoryBytesMax: number;
  readonly observer?: ZygoteObserver | undefined;
  /** Hears of a zygote that could not be started or died, with why. */
  readonly onTrouble: (error: unknown) => void;
}

/** What zygotes have to report, for metrics. */
export interface ZygoteObserver {
  onStarted(zygote: Pick<Zygote, 'alive' | 'bornMs'>): void;
  onForked(): void;
  onForkFailed(): void;
  onReplaced(cause: ReplacementCause): void;
}

/** Why another zygote took the place of one. */
export type ReplacementCause = 'sandboxes' | 'age' | 'memory' | 'hung' | 'failed' | 'died';

/** Makes sandboxes by forking, as long as it can. */
export interface ZygoteMaker extends Maker {
  /** Why containers are made in the place of forks now; undefined while they are not. */
  readonly trouble: string | undefined;
}

/** A zygote that does not fork in this time hangs. */
const forkTimeoutMs = 5_000;
/** Until what was forked is up, on a machine that has much to do. */
const slowTimeoutMs = 30_000;
/** Zygotes that are asked for a sandbox, one after the other, before a container is made. */
const attemptsMax = 2;
/** After a zygote could not be started, containers are made for so long before another is tried. */
const restAfterFailureMs = 10_000;

/** Makes sandboxes as forks of an interpreter that is up already, one for each root file system. */
export function createZygoteMaker(options: ZygoteMakerOptions): ZygoteMaker {
  const { fallback, cgroups, bundle, observer } = options;
  const zygotes = new Map<string, Promise<Zygote>>();
  const retired = new Set<Zygote>();
  const abandoned = new WeakMap<Zygote, 'hung' | 'failed'>();
  /** When a sandbox of it came up last. */
  const lastUpMs = new WeakMap<Zygote, number>();
  const live = new Map<Sandbox, Zygote>();
  let restUntilMs = 0;
  let lastTrouble = '';

  async function zygoteFor(root: RootFileSystem): Promise<Zygote> {
    const known = zygotes.get(root.path);
    const zygote = await known?.catch(() => undefined);
    const cause = zygote && whyReplace(zygote);
    if (zygote !== undefined && cause === undefined) return zygote;
    // Whoever waited for the same one finds the next here.
    if (zygotes.get(root.path) === known) {
      if (zygote !== undefined) retire(zygote);
      if (cause !== undefined) observer?.onReplaced(cause);
      zygotes.set(root.path, start(root));
    }
    return await (zygotes.get(root.path) as Promise<Zygote>);
  }

  async function start(root: RootFileSystem): Promise<Zygote> {
    const zygote = await startZygote({ ...options, stateDirectory: fallback.stateDirectory, root });
    observer?.onStarted(zygote);
    return zygote;
  }

  function whyReplace(zygote: Zygote): ReplacementCause | undefined {
    const cause = abandoned.get(zygote);
    if (cause !== undefined) return cause;
    if (!zygote.alive) return 'died';
    if (zygote.forks >= options.sandboxesMax) return 'sandboxes';
    if (performance.now() - zygote.bornMs >= options.ageMsMax) return 'age';
    return zygote.memoryBytes() > options.memoryBytesMax ? 'memory' : undefined;
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
    const beganMs = performance.now();
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
      await whenUp(socket, cgroup);
      lastUpMs.set(zygote, performance.now());
      observer?.onForked();
    } catch (error) {
      observer?.onForkFailed();
      socket?.destroy();
      giveUp(zygote, beganMs, error);
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

  /** Whatever is wrong with it: the next sandbox comes of another. Those that it made go on, unless it hangs. */
  function giveUp(zygote: Zygote, sinceMs: number, error: unknown): void {
    if (error instanceof NotUp) return;
    if (!(error instanceof NotForked)) {
      if (zygote.alive) abandoned.set(zygote, 'failed');
      return;
    }
    // One of which others came up meanwhile does not hang.
    if ((lastUpMs.get(zygote) ?? 0) > sinceMs) return;
    abandoned.set(zygote, 'hung');
    zygote.destroy().catch(options.onTrouble);
  }

  return {
    stateDirectory: fallback.stateDirectory,
    get trouble() {
      return performance.now() < restUntilMs ? lastTrouble : undefined;
    },
    async make(request) {
      if (request.spec.privilege === 'setup' || performance.now() < restUntilMs) return await fallback.make(request);
      for (let attemptsLeft = attemptsMax; attemptsLeft > 0; attemptsLeft -= 1) {
        try {
          return await fork(request);
        } catch (error) {
          // The next attempt finds another zygote if this one died.
          options.onTrouble(error);
          lastTrouble = (error as Error).message;
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

/** Nobody has come into the cgroup of a sandbox in the time that forking it may take. */
class NotForked extends Error {
  constructor() {
    super(`The zygote did not fork within ${forkTimeoutMs / 1000} s`);
  }
}

/** A sandbox was forked and has not come up: the machine has too much to do. */
class NotUp extends Error {
  constructor() {
    super(`A forked sandbox did not come up within ${slowTimeoutMs / 1000} s`);
  }
}

/** Waits for the agent's first word, without reading it. */
async function whenUp(socket: Socket, cgroup: Cgroup): Promise<void> {
  if (await comesUp(socket, forkTimeoutMs)) return;
  // Before anything else it joins its cgroup.
  if ((cgroup.cpuMs() ?? 0) === 0) throw new NotForked();
  if (await comesUp(socket, slowTimeoutMs - forkTimeoutMs)) return;
  throw new NotUp();
}

async function comesUp(socket: Socket, timeoutMs: number): Promise<boolean> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    await Promise.race([
      once(socket, 'readable', { signal: deadline }),
      once(socket, 'close', { signal: deadline }).then(() => {
        throw new Error('The zygote made no sandbox');
      }),
    ]);
    return true;
  } catch (error) {
    if (deadline.aborted) return false;
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
