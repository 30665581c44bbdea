import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Container, ContainerCreateOptions } from 'dockerode';
import { SandboxError, type SandboxSpec } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import { type ContainerSettings, describeContainer } from './container.js';
import type { Endings } from './endings.js';
import { type Engine, EngineRefusal } from './engine.js';
import { type Image, imageUnavailable } from './images.js';
import { removeContainer } from './removal.js';
import { openSandbox } from './sandbox.js';

/** What it takes to make containers and to keep account of them. */
export interface ContainerParts {
  readonly engine: Engine;
  readonly endings: Endings;
  readonly settings: ContainerSettings;
  /** Names of the containers that exist, or may, and are in use. Every other one of ours is a leftover. */
  readonly live: Set<string>;
  /** Whether the engine can limit writable layers; assumed until it refuses. */
  readonly storage: { hasQuotas: boolean };
  /** Hears of containers that could not be removed and are left to be reaped. */
  readonly onLeftover: (container: string, error: unknown) => void;
}

/** How long a failure may wait for the removal of what was made. */
const cleanupTimeoutMs = 2000;

interface Request {
  readonly image: Image;
  readonly spec: SandboxSpec;
  readonly signal: AbortSignal;
}

/** Makes a container and starts it; after a failure or an abort it leaves none. */
export async function startContainer(parts: ContainerParts, request: Request): Promise<Sandbox> {
  const { engine, endings, live } = parts;
  const { image, spec, signal } = request;
  // Named by us, so that it can be found even when the engine's answer to its creation is lost.
  const name = `python-executor-${randomUUID()}`;
  let id: string | undefined;
  let connection: Duplex | undefined;
  live.add(name);
  try {
    const container = await createContainer(parts, describeContainer(name, image, spec, parts.settings));
    id = container.id;
    signal.throwIfAborted();
    connection = await engine.attach(id);
    const sandbox = openSandbox(parts, { id, name, connection, memoryBytes: spec.memoryBytes });
    signal.throwIfAborted();
    await engine.call('start container', () => container.start());
    signal.throwIfAborted();
    return sandbox;
  } catch (error) {
    connection?.destroy();
    if (id !== undefined) endings.forget(id);
    await removeContainer(engine, name, { timeoutMs: cleanupTimeoutMs }).catch((cause) =>
      parts.onLeftover(name, cause),
    );
    live.delete(name);
    throw signal.aborted ? signal.reason : toSandboxError(image, error);
  }
}

/** Creates a container, without the limit of its writable layer where the engine's storage cannot keep one. */
async function createContainer(parts: ContainerParts, description: ContainerCreateOptions): Promise<Container> {
  const { engine, storage } = parts;
  const { StorageOpt: quota, ...withoutQuota } = description.HostConfig ?? {};
  const create = (HostConfig: ContainerCreateOptions['HostConfig'] & object) =>
    engine.call('create container', () => engine.docker.createContainer({ ...description, HostConfig }));
  if (quota === undefined || !storage.hasQuotas) return await create(withoutQuota);
  try {
    return await create({ ...withoutQuota, StorageOpt: quota });
  } catch (error) {
    if (!(error instanceof EngineRefusal) || !/storage-opt|quota/i.test(error.reason)) throw error;
    storage.hasQuotas = false;
    return await create(withoutQuota);
  }
}

/** What runc and crun say when the image has no `python3`, or none for this processor. */
const notExecutable = /executable file (?:\S+ )?not found|exec format error|"python3": (?:permission denied|stat )/i;

function toSandboxError(image: Image, error: unknown): unknown {
  if (!(error instanceof EngineRefusal)) return error;
  if (notExecutable.test(error.reason)) return imageUnavailable(image.name, 'it has no python3 that can run', error);
  if (error.status === 404 && error.reason.includes('No such image')) {
    return imageUnavailable(image.name, error.reason, error);
  }
  return new SandboxError('internal', `Cannot start sandbox: ${error.reason}`, { cause: error });
}
