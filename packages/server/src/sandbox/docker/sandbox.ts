import type { Sandbox } from '../backend.js';
import type { AttachedContainer } from './attached.js';
import { demux } from './demux.js';
import type { Gate } from './gate.js';
import { measureContainer } from './measure.js';
import { removeTimeoutMs } from './removal.js';
import type { ContainerParts } from './start.js';

interface SandboxContainers {
  readonly container: AttachedContainer;
  /** Undefined without a network. */
  readonly gate: Gate | undefined;
  readonly memoryBytes: number;
  /** Called when it was destroyed. */
  readonly onGone: () => Promise<void>;
}

/** The sandbox that a container is, from before it starts. */
export function openSandbox(parts: ContainerParts, containers: SandboxContainers): Sandbox {
  const { engine, endings } = parts;
  const { container, gate, memoryBytes, onGone } = containers;
  const { id, connection } = container;
  const ending = endings.follow(id);
  const { stdout, stderr } = demux(connection);
  let destroying: Promise<void> | undefined;

  async function destroy(): Promise<void> {
    await container.leave(ending.removed);
    endings.forget(id);
    await gate?.close({ timeoutMs: removeTimeoutMs });
    await onGone();
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
