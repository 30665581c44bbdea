import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sandbox } from '../backend.js';
import { systemPath } from '../rootfs/executable.js';
import type { Cgroup } from './cgroup/cgroups.js';

/** What a sandbox consists of on the host. */
export interface SandboxParts {
  readonly id: string;
  readonly cgroup: Cgroup;
  /** Its own directory. */
  readonly directory: string;
  readonly stateDirectory: string;
  /** Called once when it is gone, or when what is left of it has to be reaped, with why. */
  readonly onGone: (error?: unknown) => void;
}

/** From the first kill on. A process that has died in vain so long will not go by itself. */
const goneTimeoutMs = 10_000;
/** How long the runtime may take to put its things away when the container is dead. */
const runtimeGraceMs = 1000;

/**
 * Starts the command that starts a sandbox; `descriptors` become its numbers from 3 on.
 *
 * @throws Error when the process cannot be started
 */
export async function startSandbox(
  [program, parameters]: readonly [program: string, parameters: readonly string[]],
  descriptors: readonly number[],
  parts: SandboxParts,
): Promise<Sandbox> {
  const child: Child = spawn(program, parameters, {
    stdio: ['pipe', 'pipe', 'pipe', ...descriptors],
    // The runtime gets what it needs and nothing of ours, and no signal that somebody at our terminal sends.
    env: { PATH: systemPath },
    detached: true,
  }) as Child;
  const ended = once(child, 'exit').catch(() => {});
  await once(child, 'spawn');
  child.on('error', () => {});
  let destroying: Promise<void> | undefined;
  return {
    id: parts.id,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ...counting(parts.cgroup, () => destroying === undefined),
    destroy() {
      destroying ??= destroy(child, ended, parts).then(
        () => parts.onGone(),
        (error: unknown) => parts.onGone(error),
      );
      return destroying;
    },
  };
}

/** Reads a cgroup for as long as `isThere`. Getting a sandbox ready has taken CPU time too, which is no job's. */
export function counting(cgroup: Cgroup, isThere: () => boolean): Pick<Sandbox, 'beginCounting' | 'measure'> {
  let cpuMsBefore = 0;
  return {
    beginCounting() {
      cpuMsBefore = cgroup.cpuMs() ?? 0;
    },
    async measure() {
      const measured = isThere() ? cgroup.measure() : undefined;
      return measured && { ...measured, cpuMs: measured.cpuMs - cpuMsBefore };
    },
  };
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

async function destroy(child: Child, ended: Promise<unknown>, parts: SandboxParts): Promise<void> {
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    stream.on('error', () => {});
    stream.destroy();
  }
  await endRuntime(child, ended, parts.cgroup);
  await removeTraces(parts);
}

/**
 * Kills what runs in the sandbox and lets the runtime notice, so that it reaps its child and puts its things away. It is
 * killed as well when it does not, or when there is nothing that it could notice.
 */
async function endRuntime(child: Child, ended: Promise<unknown>, cgroup: Cgroup): Promise<void> {
  const beganMs = performance.now();
  for (let pauseMs = 1; child.exitCode === null && child.signalCode === null; pauseMs *= 2) {
    const killedCount = cgroup.kill(child.pid);
    if (killedCount === 0 || performance.now() - beganMs > runtimeGraceMs) child.kill('SIGKILL');
    await Promise.race([ended, delay(pauseMs)]);
  }
}

/** Removes what a sandbox leaves on the host when nobody looks after it any more. */
export async function removeTraces(parts: Omit<SandboxParts, 'onGone'>): Promise<void> {
  await removeCgroup(parts.cgroup);
  await rm(parts.directory, { recursive: true, force: true });
  await rm(join(parts.stateDirectory, parts.id), { recursive: true, force: true });
}

/** Kills whatever is in a cgroup and removes it. */
export async function removeCgroup(cgroup: Cgroup): Promise<void> {
  const deadlineMs = performance.now() + goneTimeoutMs;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      if (cgroup.kill() === 0) return cgroup.remove();
    } catch (error) {
      // The last process has left it a moment before the directory can go.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    }
    if (performance.now() > deadlineMs) throw new Error(`A process has not gone within ${goneTimeoutMs / 1000} s`);
    await delay(pauseMs);
  }
}
