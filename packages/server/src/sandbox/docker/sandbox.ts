import type { Duplex } from 'node:stream';
import type { Sandbox } from '../backend.js';
import { demux } from './demux.js';
import { measureContainer } from './measure.js';
import { removeContainer, removeTimeoutMs } from './removal.js';
import type { ContainerParts } from './start.js';

interface AttachedContainer {
  readonly id: string;
  readonly name: string;
  /** Raw and multiplexed. */
  readonly connection: Duplex;
  readonly memoryBytes: number;
}

/** The sandbox that a container is, from before it starts. */
export function openSandbox(parts: ContainerParts, container: AttachedContainer): Sandbox {
  const { engine, endings, live } = parts;
  const { id, name, connection, memoryBytes } = container;
  const ending = endings.follow(id);
  const { stdout, stderr } = demux(connection);
  // A connection that breaks is one that ends: the readers see the end, and writers find out by themselves.
  connection.on('error', () => {});
  let destroying: Promise<void> | undefined;

  async function destroy(): Promise<void> {
    const removing = removeContainer(engine, id, { timeoutMs: removeTimeoutMs });
    // The engine would wait for somebody to read what is still on its way.
    connection.destroy();
    await removing.catch((error: unknown) => parts.onLeftover(name, error));
    // If it is there still, it is a leftover from here on.
    live.delete(name);
    endings.forget(id);
  }

  return {
    id,
    stdin: connection,
    stdout,
    stderr,
    measure: () => measureContainer(engine, { id, ending, memoryBytes }),
    destroy() {
      destroying ??= destroy();
      return destroying;
    },
  };
}
