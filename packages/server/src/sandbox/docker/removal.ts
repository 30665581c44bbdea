import { setTimeout as delay } from 'node:timers/promises';
import { type Engine, EngineRefusal } from './engine.js';

/** How long a removal may take that nobody is kept waiting by, ms. */
export const removeTimeoutMs = 15_000;

const retryPauseMs = 200;

/**
 * Kills a container and removes it with its anonymous volumes.
 *
 * @param container id or name
 * @returns once it is gone
 * @throws EngineRefusal when the engine cannot remove it within `timeoutMs`, SandboxError `engine_unavailable`
 */
export async function removeContainer(
  engine: Engine,
  container: string,
  options: { readonly timeoutMs: number },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const timeoutMs = Math.max(1, Math.ceil(deadline - performance.now()));
    try {
      await engine.call('remove container', () => removeOnce(engine, container), { timeoutMs });
      return;
    } catch (error) {
      // A file system that is still busy, mostly: the engine can do it a little later.
      const passing = error instanceof EngineRefusal && error.status >= 500;
      if (!passing || performance.now() + retryPauseMs > deadline) throw error;
      await delay(retryPauseMs);
    }
  }
}

async function removeOnce(engine: Engine, name: string): Promise<void> {
  const container = engine.docker.getContainer(name);
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (statusOf(error) === 404) return;
    if (statusOf(error) !== 409) throw error;
    // It removes itself already. The answer is 404 when it has done so before we asked.
    await container.wait({ condition: 'removed' }).catch((waitError: unknown) => {
      if (statusOf(waitError) !== 404) throw waitError;
    });
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}
