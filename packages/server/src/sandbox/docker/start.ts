import type { ContainerCreateOptions } from 'dockerode';
import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import {
  type Account,
  type AttachedContainer,
  attachContainer,
  cleanupTimeoutMs,
  createContainer,
} from './attached.js';
import { type ContainerSettings, describeSandbox } from './container.js';
import type { Endings } from './endings.js';
import { type Gate, openGate } from './gate.js';
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
  const { ipv6Switch } = abilities;
  try {
    return await startOnce(parts, request);
  } catch (error) {
    if (!ipv6Switch || !(error instanceof SandboxError) || !isIpv6Refusal(error.cause)) throw error;
    abilities.ipv6Switch = false;
    return await startOnce(parts, request);
  }
}

/** The gate starts while the sandbox is created; the sandbox starts when its network is confined. */
async function startOnce(parts: ContainerParts, request: SandboxRequest): Promise<Sandbox> {
  const { image, gateImage, spec, signal } = request;
  let gate: Gate | undefined;
  let container: AttachedContainer | undefined;
  try {
    if (gateImage !== undefined) gate = await openGate(parts, { image: gateImage, signal });
    const gateId = gate?.id;
    const create = (name: string) =>
      createWithQuota(parts, describeSandbox({ name, image, spec, gateId }, parts.settings));
    container = await attachContainer(parts, create, { signal });
    const sandbox = openSandbox(parts, { container, gate, memoryBytes: spec.memoryBytes });
    await gate?.confined;
    signal.throwIfAborted();
    await container.start();
    container.connection.write(parts.settings.agent.bytes);
    signal.throwIfAborted();
    return sandbox;
  } catch (error) {
    if (container !== undefined) parts.endings.forget(container.id);
    await container?.discard({ timeoutMs: cleanupTimeoutMs });
    await gate?.close({ timeoutMs: cleanupTimeoutMs });
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
