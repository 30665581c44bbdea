import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { expect } from 'vitest';
import type { SandboxSpec } from '../../dist/jobs/ports.js';
import { bundleGate } from '../../dist/sandbox/agent/bundle.js';
import type { Backend, Sandbox } from '../../dist/sandbox/backend.js';
import { createDockerBackend, type DockerBackendOptions } from '../../dist/sandbox/docker/backend.js';

export const engineSocket = '/var/run/docker.sock';
export const image = 'python:3.11-slim';
/** The engine itself, to look at what the backend did to it. */
export const docker = new Docker({ socketPath: engineSocket });

const mebibyte = 1024 * 1024;

export const programSpec: SandboxSpec = {
  image,
  memoryBytes: 256 * mebibyte,
  diskBytes: 64 * mebibyte,
  cpuShares: 1024,
  network: 'none',
  privilege: 'program',
};

/** An agent that answers every byte with itself and ends with its stdin. */
const echoAgent = `
import os
while True:
    data = os.read(0, 65536)
    if not data:
        break
    os.write(1, data)
`;

export type TestBackend = Backend & { readonly ownerId: string };

export function openBackend(options: Partial<DockerBackendOptions> = {}): TestBackend {
  const ownerId = options.ownerId ?? randomUUID();
  const backend = createDockerBackend({
    socket: engineSocket,
    agentSource: echoAgent,
    instanceId: randomUUID(),
    ownerId,
    pullTimeoutMs: 10_000,
    processesMax: 64,
    inodesMax: 1000,
    openFilesMax: 256,
    runtime: '',
    networkMode: 'bridge',
    dnsServers: [],
    gate: { image, source: bundleGate(), deniedAddresses: [] },
    ...options,
  });
  return { ...backend, ownerId };
}

/** An abort signal that nobody aborts. */
export function never(): { readonly signal: AbortSignal } {
  return { signal: new AbortController().signal };
}

/** Ids of the containers of an owner, whatever their state. */
export async function containersOf(ownerId: string, label = 'owner'): Promise<readonly string[]> {
  const filters = { label: [`python-executor.${label}=${ownerId}`] };
  const found = await docker.listContainers({ all: true, filters });
  return found.map((container) => container.Id);
}

export async function expectNothingLeft(backend: TestBackend): Promise<void> {
  expect(await containersOf(backend.ownerId)).toEqual([]);
  expect(await containersOf(backend.ownerId, 'keeper')).toEqual([]);
}

/** Waits for the sandbox to end and returns what it printed. */
export async function readAll(sandbox: Sandbox): Promise<string> {
  const [stdout, stderr] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr)]);
  return stderr === '' ? stdout : `${stdout}\nstderr: ${stderr}`;
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
      await expectNothingLeft(backend);
    }
  } finally {
    await backend.close();
  }
}

export interface ProbeOptions {
  readonly spec?: Partial<SandboxSpec>;
  readonly backend?: Partial<DockerBackendOptions>;
}
