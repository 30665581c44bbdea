import type { ContainerCreateOptions } from 'dockerode';
import type { SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import { type Abilities, switchIpv6Off } from './abilities.js';
import {
  type Account,
  type AttachedContainer,
  attachContainer,
  cleanupTimeoutMs,
  createContainer,
} from './attached.js';
import { type ContainerSettings, describeSandbox } from './container.js';
import type { Endings } from './endings.js';
import { EngineRefusal } from './engine.js';
import { type Gate, openGate } from './gate.js';
import type { HostsFiles, SharedHosts } from './hosts.js';
import type { Image } from './images.js';
import { isIpv6Refusal, isQuotaRefusal, toSandboxError } from './refusal.js';
import { openSandbox } from './sandbox.js';

/** What it takes to make containers and to keep account of them. */
export interface ContainerParts extends Account {
  readonly endings: Endings;
  readonly hosts: SharedHosts;
  readonly settings: ContainerSettings;
  /** What the engine can do; assumed until it refuses. */
  readonly abilities: Abilities;
  /** The release of the engine's kernel. */
  readonly readKernel: () => Promise<string>;
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
  const { hosts } = parts;
  const { network, privilege } = request.spec;
  // Root of a sandbox may write to files of its own, and must not to those of others.
  if (network !== 'none' || privilege !== 'program') {
    return await startSomehow(parts, { ...request, files: undefined, onGone: async () => {} });
  }
  const files = hosts.enter(request.image);
  try {
    return await startSomehow(parts, { ...request, files, onGone: hosts.leave });
  } catch (error) {
    await hosts.leave();
    throw error;
  }
}

interface Attempt extends SandboxRequest {
  /** What it shares with others; undefined when the engine is to make its network. */
  readonly files: HostsFiles | undefined;
  /** Called when the sandbox was destroyed. */
  readonly onGone: () => Promise<void>;
}

/** Does without what the engine refuses, where that can be done without. */
async function startSomehow(parts: ContainerParts, attempt: Attempt): Promise<Sandbox> {
  const { abilities, hosts } = parts;
  const { ipv6Switch } = abilities;
  try {
    return await startOnce(parts, attempt);
  } catch (error) {
    const { cause } = error as { readonly cause?: unknown };
    if (!(cause instanceof EngineRefusal)) throw error;
    if (ipv6Switch && isIpv6Refusal(cause)) {
      abilities.ipv6Switch = false;
      return await startSomehow(parts, attempt);
    }
    if (attempt.files === undefined) throw error;
    await hosts.refuse(attempt.files);
    return await startSomehow(parts, { ...attempt, files: undefined });
  }
}

/** The gate starts while the sandbox is created; the sandbox starts when its network is confined. */
async function startOnce(parts: ContainerParts, attempt: Attempt): Promise<Sandbox> {
  const { image, gateImage, spec, signal, files, onGone } = attempt;
  let gate: Gate | undefined;
  let container: AttachedContainer | undefined;
  try {
    if (gateImage !== undefined) gate = await openGate(parts, { image: gateImage, signal });
    const gateId = gate?.id;
    const offline = files && { files, sysctls: switchIpv6Off(parts.abilities) };
    const create = (name: string) =>
      createWithQuota(parts, describeSandbox({ name, image, spec, gateId, offline }, parts.settings));
    container = await attachContainer(parts, create, { signal });
    const sandbox = openSandbox(parts, { container, gate, memoryBytes: spec.memoryBytes, onGone });
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
