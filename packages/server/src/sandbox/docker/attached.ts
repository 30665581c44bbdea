import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerCreateOptions } from 'dockerode';
import type { Engine } from './engine.js';
import { removeContainer, removeTimeoutMs } from './removal.js';

/** A container of which stdin, stdout and stderr are ours, from before it starts. */
export interface AttachedContainer {
  readonly id: string;
  /** Raw and multiplexed. */
  readonly connection: Duplex;
  start(): Promise<void>;
  /**
   * Lets a started one end with its stdin and remove itself, and removes it when it has not done so in time. Never
   * throws, as {@link discard} never does.
   *
   * @param removed resolves when the engine reports that it is gone
   */
  leave(removed: Promise<void>): Promise<void>;
  /** Removes it, running or not. Never throws: what could not be removed within `timeoutMs` is left to be reaped. */
  discard(options: { readonly timeoutMs: number }): Promise<void>;
}

/** What it takes to keep account of containers. */
export interface Account {
  readonly engine: Engine;
  /** Names of the containers that exist, or may, and are in use. Every other one of ours is a leftover. */
  readonly live: Set<string>;
  /** Hears of containers that could not be removed and are left to be reaped. */
  readonly onLeftover: (container: string, error: unknown) => void;
}

/** How long a failure may wait for the removal of what was made, ms. */
export const cleanupTimeoutMs = 2000;

/**
 * How long a container may take to end with its stdin and to be removed, ms. That spares the engine the killing, which
 * takes a process of the runtime. An agent that does not end by itself is killed after this time.
 */
const leaveTimeoutMs = 1000;

/**
 * Creates a container and attaches to it; after a failure or an abort it leaves none.
 *
 * @param create makes the container of a name, and returns its id
 */
export async function attachContainer(
  { engine, live, onLeftover }: Account,
  create: (name: string) => Promise<string>,
  { signal }: { readonly signal: AbortSignal },
): Promise<AttachedContainer> {
  // Named by us, so that it can be found even when the engine's answer to its creation is lost.
  const name = `python-executor-${randomUUID()}`;
  let connection: Duplex | undefined;

  async function discard({ timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    const removing = removeContainer(engine, name, { timeoutMs });
    // The engine would wait for somebody to read what is still on its way.
    connection?.destroy();
    await removing.catch((error: unknown) => onLeftover(name, error));
    // If it is there still, it is a leftover from here on.
    live.delete(name);
  }

  async function leave(removed: Promise<void>): Promise<void> {
    connection?.destroy();
    const left = await settledWithin(removed, leaveTimeoutMs);
    if (left) live.delete(name);
    else await discard({ timeoutMs: removeTimeoutMs });
  }

  live.add(name);
  try {
    const id = await create(name);
    signal.throwIfAborted();
    connection = await engine.attach(id);
    // A connection that breaks is one that ends: the readers see the end, and writers find out by themselves.
    connection.on('error', () => {});
    signal.throwIfAborted();
    const start = () => engine.call('start container', () => engine.docker.getContainer(id).start());
    return { id, connection, start, leave, discard };
  } catch (error) {
    await discard({ timeoutMs: cleanupTimeoutMs });
    throw error;
  }
}

/** Creates a container as the engine's API describes it, and returns its id. */
export async function createContainer(engine: Engine, description: ContainerCreateOptions): Promise<string> {
  const { name, ...body } = description;
  // Left to itself, the client library sends all of it twice: as the body, and as the query that holds the name. Its
  // type does not know these two.
  const request: object = { _query: { name }, _body: body };
  const container = await engine.call('create container', () => engine.docker.createContainer(request));
  return container.id;
}

async function settledWithin(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  const given = new AbortController();
  try {
    const late = delay(timeoutMs, false, { signal: given.signal });
    return await Promise.race([work.then(() => true), late]);
  } finally {
    given.abort();
  }
}
