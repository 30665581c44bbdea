import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import type { SandboxSpec } from '../../dist/jobs/ports.js';
import type { Backend, Sandbox } from '../../dist/sandbox/backend.js';
import { createOciBackend, type OciBackendOptions } from '../../dist/sandbox/oci/backend.js';
import { ownerDirectory } from '../../dist/sandbox/oci/instance.js';

const mebibyte = 1024 * 1024;

/** How many times as long as usual anything may take: more than once on a machine that is emulated. */
export const slowness = Number(process.env.PYEXEC_TEST_SLOWNESS ?? 1);

export const programSpec: SandboxSpec = {
  image: 'python:3.11-slim',
  memoryBytes: 256 * mebibyte,
  diskBytes: 64 * mebibyte,
  cpuShares: 1024,
  network: 'none',
  privilege: 'program',
};

/** Those of the runtimes that this machine has. */
export function installed(runtimes: readonly string[]): readonly string[] {
  return runtimes.filter((runtime) => spawnSync(runtime, ['--version']).status === 0);
}

/** An agent that answers every byte with itself and ends with its stdin. */
export const echoAgent = `
import os
while True:
    data = os.read(0, 65536)
    if not data:
        break
    os.write(1, data)
`;

/** Where all tests keep what lasts as long as a server. */
export const runtimeDir = '/run/python-executor-test';

export type TestBackend = Backend & { readonly ownerId: string };

export function backendOptions(options: Partial<OciBackendOptions> = {}): OciBackendOptions {
  return {
    agentSource: echoAgent,
    ownerId: randomUUID(),
    runtimeDir,
    runtime: '',
    imagesDir: join(tmpdir(), 'python-executor-no-images'),
    hostImages: [programSpec.image],
    hostPython: '',
    processesMax: 64,
    inodesMax: 1000,
    openFilesMax: 256,
    ...options,
  };
}

export function openBackend(options: Partial<OciBackendOptions> = {}): TestBackend {
  const complete = backendOptions(options);
  return { ...createOciBackend(complete), ownerId: complete.ownerId };
}

/** An abort signal that nobody aborts. */
export function never(): { readonly signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

/** Names of the starts of a server that left something, be it in a file system or as a cgroup. */
export function tracesOf(ownerId: string): readonly string[] {
  const owner = ownerDirectory(runtimeDir, ownerId);
  const directories = existsSync(owner) ? readdirSync(owner) : [];
  return [...directories, ...cgroupDirectories().filter((path) => basename(path).startsWith(basename(owner)))];
}

/** What stands in a file of a sandbox's cgroup, in whichever tree has it. */
export function readLimit(sandboxId: string, name: string): string | undefined {
  const path = cgroupDirectories()
    .map((start) => join(start, sandboxId, name))
    .find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : readFileSync(path, 'utf8').trim();
}

/** The directories of all starts of all servers, in all trees. */
function cgroupDirectories(): readonly string[] {
  const trees = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(' ')[4] as string, 'python-executor'));
  return trees.filter((tree) => existsSync(tree)).flatMap((tree) => readdirSync(tree).map((name) => join(tree, name)));
}

/** Ids of the sandboxes that a server has, by their directories. */
export function sandboxesOf(ownerId: string): readonly string[] {
  const owner = ownerDirectory(runtimeDir, ownerId);
  const starts = existsSync(owner) ? readdirSync(owner) : [];
  return starts.flatMap((start) => {
    const sandboxes = join(owner, start, 'sandboxes');
    return existsSync(sandboxes) ? readdirSync(sandboxes) : [];
  });
}

/** Waits for the sandbox to end and returns what it printed. */
export async function readAll(sandbox: Sandbox): Promise<string> {
  const [stdout, stderr] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr)]);
  return stderr === '' ? stdout : `${stdout}\nstderr: ${stderr}`;
}

export interface ProbeOptions {
  readonly spec?: Partial<SandboxSpec>;
  readonly backend?: Partial<OciBackendOptions>;
}

/** Runs a program as the agent of a sandbox of its own, and returns what it printed as JSON. */
export async function runProbe<Answer>(source: string, options: ProbeOptions = {}): Promise<Answer> {
  const backend = openBackend({ agentSource: source, ...options.backend });
  try {
    const sandbox = await backend.create({ ...programSpec, ...options.spec }, never());
    try {
      const printed = await readAll(sandbox);
      try {
        return JSON.parse(printed);
      } catch {
        throw new Error(`The probe printed no JSON: ${printed}`);
      }
    } finally {
      await sandbox.destroy();
      expect(sandboxesOf(backend.ownerId)).toEqual([]);
    }
  } finally {
    await backend.close();
    expect(tracesOf(backend.ownerId)).toEqual([]);
  }
}

/** Process ids, on the host, of all that is in a sandbox. */
export function processesOf(sandboxId: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((processId) => cgroupsOf(processId).includes(sandboxId));
}

function cgroupsOf(processId: number): string {
  try {
    return readFileSync(`/proc/${processId}/cgroup`, 'utf8');
  } catch {
    return '';
  }
}
