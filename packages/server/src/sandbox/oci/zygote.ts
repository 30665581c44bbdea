import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SandboxError } from '../../jobs/ports.js';
import { systemPath } from '../rootfs/executable.js';
import type { RootFileSystem } from '../rootfs/root.js';
import { type BundleSettings, describeZygoteBundle } from './bundle.js';
import type { Cgroup, Cgroups } from './cgroup/cgroups.js';
import { describeForks } from './description.js';
import { launchCommand } from './launch.js';
import { useOf } from './maker.js';
import type { Room } from './room.js';
import { removeTraces } from './sandbox.js';

/** An interpreter of one root file system from which sandboxes are forked; see agent/zygote.py. */
export interface Zygote {
  /** Sandboxes that were asked of it so far. */
  readonly forks: number;
  readonly bornMs: number;
  readonly alive: boolean;
  /** Its own private memory, as it was at most a second ago; what its sandboxes have beside it does not count. */
  memoryBytes(): number;
  /** A connection that is to become a sandbox. */
  connect(description: string): Promise<Socket>;
  /** Ends it and with it every sandbox that it made. Idempotent. */
  destroy(): Promise<void>;
}

export interface ZygoteOptions {
  readonly root: RootFileSystem;
  readonly agentSource: string;
  readonly directory: string;
  readonly stateDirectory: string;
  readonly cgroups: Cgroups;
  readonly room: Room;
  readonly bundle: BundleSettings;
  readonly inodesMax: number;
}

/** Where the zygote finds its socket and the cgroups, on a file system that its sandboxes do not see. */
const insideDirectory = '/tmp/zygote';
const readyTimeoutMs = 10_000;
const memoryBytes = 512 * 1024 * 1024;
/** Looking costs as much as a tenth of a sandbox. */
const memoryEveryMs = 1_000;
/** The most: beside hundreds of programs that compute it would hardly get to fork, and look as if it hung. */
const cpuShares = 262_144;
const processesMax = 16_384;
const diskBytes = 1024 * 1024;
const spec = { privilege: 'program', diskBytes } as const;

/** @throws SandboxError `internal` with what the zygote said; nothing is left behind then */
export async function startZygote(options: ZygoteOptions): Promise<Zygote> {
  const { cgroups, bundle, room } = options;
  const id = `z${randomBytes(7).toString('hex')}`;
  const directory = join(options.directory, 'sandboxes', id);
  const cgroup = cgroups.create(id, { memoryBytes, cpuShares, processesMax }, useOf(bundle.traits));
  const traces = { id, cgroup, directory, stateDirectory: options.stateDirectory };
  let child: ChildProcess | undefined;
  try {
    const socketDirectory = prepare(options, directory, cgroup);
    const { users, traits, openFilesMax } = bundle;
    const launch = { ...options, id, spec, users, traits, openFilesMax, directory, handsOn: 'nothing' } as const;
    const [program, parameters] = launchCommand(launch, { room, cgroup });
    child = spawn(program, parameters, {
      stdio: ['pipe', 'pipe', 'pipe', room.descriptor],
      env: { PATH: systemPath },
      detached: true,
    });
    await whenReady(child);
    return new RunningZygote(child, join(socketDirectory, 'socket'), cgroup, () => removeTraces(traces));
  } catch (error) {
    child?.kill('SIGKILL');
    await removeTraces(traces);
    throw new SandboxError('internal', `Cannot start zygote: ${(error as Error).message}`, { cause: error });
  }
}

/** Makes what the zygote's container needs, and gives it the right to move its children into cgroups of ours. */
function prepare(options: ZygoteOptions, directory: string, cgroup: Cgroup): string {
  const { bundle, root } = options;
  const socketDirectory = join(directory, 's');
  mkdirSync(socketDirectory, { recursive: true });
  // Nobody but us gets to the directory, whoever else can pass through those above it.
  chmodSync(directory, 0o711);
  chownSync(socketDirectory, bundle.users.first, bundle.users.first);
  chmodSync(socketDirectory, 0o700);
  const parents = cgroup.joinFiles.map((file) => dirname(dirname(file)));
  for (const file of cgroup.joinFiles) permitJoin(join(dirname(dirname(file)), basename(file)), bundle.users.first);
  const config = describeZygoteBundle(
    {
      root: root.path,
      environment: root.environment,
      command: ['python3', '-I', '-S', '-c', options.agentSource, 'zygote', describeForks()],
      cgroupsPath: cgroup.runtimePath,
      binds: [
        { source: socketDirectory, destination: insideDirectory },
        ...parents.map((source, index) => ({ source, destination: `${insideDirectory}/cgroup${index}` })),
      ],
    },
    bundle,
  );
  for (const index of parents.keys()) mkdirSync(join(socketDirectory, `cgroup${index}`));
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  return socketDirectory;
}

/** Lets root of the sandboxes' user namespace write to a file of a cgroup. */
export function permitJoin(file: string, user: number): void {
  chownSync(file, user, user);
}

async function whenReady(child: ChildProcess): Promise<void> {
  const { stdout, stderr } = child as ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream };
  child.on('error', () => {});
  const said = text(stderr as never).catch(() => '');
  const deadline = AbortSignal.timeout(readyTimeoutMs);
  const first = await Promise.race([
    once(stdout, 'data', { signal: deadline }).catch(() => undefined),
    once(child, 'exit').then(() => undefined),
  ]);
  if (first !== undefined) return;
  child.kill('SIGKILL');
  throw new Error(deadline.aborted ? `it was not ready within ${readyTimeoutMs / 1000} s` : (await said).trim());
}

class RunningZygote implements Zygote {
  readonly bornMs = performance.now();
  forks = 0;
  #alive = true;
  #memory = { atMs: Number.NEGATIVE_INFINITY, bytes: 0 };
  #destroying: Promise<void> | undefined;
  readonly #ended: Promise<unknown>;

  constructor(
    private readonly child: ChildProcess,
    private readonly socketPath: string,
    private readonly cgroup: Cgroup,
    private readonly removeAll: () => Promise<void>,
  ) {
    this.#ended = once(child, 'exit').catch(() => {});
    void this.#ended.then(() => {
      this.#alive = false;
    });
  }

  get alive(): boolean {
    return this.#alive && this.#destroying === undefined;
  }

  memoryBytes(): number {
    const nowMs = performance.now();
    if (nowMs - this.#memory.atMs > memoryEveryMs)
      this.#memory = { atMs: nowMs, bytes: this.cgroup.largestProcessBytes() };
    return this.#memory.bytes;
  }

  async connect(description: string): Promise<Socket> {
    this.forks += 1;
    const socket = connect(this.socketPath);
    socket.write(description);
    await once(socket, 'connect');
    return socket;
  }

  destroy(): Promise<void> {
    this.#destroying ??= this.#destroy();
    return this.#destroying;
  }

  async #destroy(): Promise<void> {
    this.child.stdin?.destroy();
    await this.removeAll();
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}
