import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { RootFileSystem } from '../rootfs/root.js';
import type { Maker } from './maker.js';
import type { Runtime } from './runtime.js';

const trialSpec: SandboxSpec = {
  image: '',
  memoryBytes: 256 * 1024 * 1024,
  diskBytes: 1024 * 1024,
  cpuShares: 1024,
  network: 'none',
  privilege: 'program',
};

const trialCommand = ['/bin/sh', '-c', 'echo up; read -r line'];
const timeoutMs = 10_000;

/**
 * Makes a sandbox in which next to nothing runs.
 *
 * @returns the filter of system calls that crun made for it: others can have it ready-made
 * @throws SandboxError `engine_unavailable` with what the runtime said when it cannot
 */
export async function tryRuntime(
  maker: Maker,
  { runtime, root }: { readonly runtime: Runtime; readonly root: RootFileSystem },
): Promise<{ readonly seccompFilter: Uint8Array | undefined }> {
  const sandbox = await maker.make({ spec: trialSpec, root, command: trialCommand });
  const said = text(sandbox.stderr).catch(() => '');
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const [first] = await Promise.race([
      once(sandbox.stdout, 'data', { signal: deadline }),
      once(sandbox.stdout, 'end'),
    ]);
    if (first === undefined) throw unavailable(runtime, (await said).trim());
    return { seccompFilter: await readSeccompFilter(runtime, join(maker.stateDirectory, sandbox.id)) };
  } catch (error) {
    if (!deadline.aborted) throw error;
    throw unavailable(runtime, `nothing ran within ${timeoutMs / 1000} s`);
  } finally {
    await sandbox.destroy();
  }
}

/** crun leaves it with its account of a container as long as that runs. */
async function readSeccompFilter(runtime: Runtime, state: string): Promise<Uint8Array | undefined> {
  if (runtime.kind !== 'crun') return undefined;
  const filter = await readFile(join(state, 'seccomp.bpf')).catch(() => undefined);
  return filter === undefined || filter.length === 0 ? undefined : filter;
}

function unavailable({ kind, version }: Runtime, reason: string): SandboxError {
  return new SandboxError('engine_unavailable', `Cannot run containers by ${kind} ${version}: ${reason}`);
}
