import type { ContainerCreateOptions } from 'dockerode';
import type { SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import { type Account, attachContainer, cleanupTimeoutMs, createContainer } from './attached.js';
import { type ContainerSettings, describeSandbox } from './container.js';
import type { Endings } from './endings.js';
import { openGate } from './gate.js';
import type { Image } from './images.js';
import { isIpv6Refusal, isQuotaRefusal, toSandboxError } from './refusal.js';
import { openSandbox } from './sandbox.js';

/** What it takes to make containers and to keep account of them. */
export interface ContainerParts extends Account {
  readonly endings: Endings;
  readonly settings: ContainerSettings;
  /** What the engine can do; assumed until it refuses. */
  readonly abilities: Abilities;
  /** The release of the engine's kernel. */
  readonly readKernel: () => Promise<string>;
}

export interface Abilities {
  /** Limit writable layers. */
  quotas: boolean;
  /** Switch IPv6 off. */
  ipv6Switch: boolean;
}

export interface SandboxRequest {
  readonly image: Image;
  /** For the gate of a sandbox with a network; undefined for any other. */
  readonly gateImage: Image | undefined;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal;
}

/** Makes a sandbox and starts it; after a failure or an abort it leaves nothing. */
export async function startSandbox(parts: ContainerParts, request: SandboxRequest): Promise<Sandbox> {
  const { abilities } = parts;
  try {
    return await startOnce(parts, request);
  } catch (error) {
    if (!abilities.ipv6Switch || !isIpv6Refusal((error as Error).cause)) throw error;
    abilities.ipv6Switch = false;
    return await startOnce(parts, request);
  }
}

/** The gate starts while the sandbox is created; the sandbox starts when its network is confined. */
async function startOnce(parts: ContainerParts, request: SandboxRequest): Promise<Sandbox> {
  const { image, gateImage, spec, signal } = request;
  try {
    const gate = gateImage && (await openGate(parts, { image: gateImage, signal }));
    try {
      const create = (name: string) =>
        createWithQuota(parts, describeSandbox({ name, image, spec, gateId: gate?.id }, parts.settings));
      const container = await attachContainer(parts, create, { signal });
      const sandbox = openSandbox(parts, { container, gate, memoryBytes: spec.memoryBytes });
      try {
        await gate?.confined;
        signal.throwIfAborted();
        await container.start();
        signal.throwIfAborted();
        return sandbox;
      } catch (error) {
        parts.endings.forget(container.id);
        await container.discard({ timeoutMs: cleanupTimeoutMs });
        throw error;
      }
    } catch (error) {
      await gate?.close({ timeoutMs: cleanupTimeoutMs });
      throw error;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : toSandboxError(image, error);
  }
}

/** Creates a container, without the limit of its writable layer where the engine's storage cannot keep one. */
async function createWithQuota(parts: ContainerParts, description: ContainerCreateOptions): Promise<string> {
  const { engine, abilities } = parts;
  const { StorageOpt: quota, ...withoutQuota } = description.HostConfig ?? {};
  if (quota !== undefined && abilities.quotas) {
    try {
      return await createContainer(engine, description);
    } catch (error) {
      if (!isQuotaRefusal(error)) throw error;
      abilities.quotas = false;
    }
  }
  return await createContainer(engine, { ...description, HostConfig: withoutQuota });
}
