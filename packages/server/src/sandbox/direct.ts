import type { ReadySandbox, Sandboxes } from '../jobs/ports.js';
import { SandboxError } from '../jobs/ports.js';
import { startSession } from './agent/session.js';
import type { Backend } from './backend.js';

export interface DirectOptions {
  /** How long the agent of a new sandbox may take until it is ready. */
  readonly readyTimeoutMs: number;
}

/** Makes a sandbox whenever one is asked for. */
export function createDirectSandboxes(backend: Backend, { readyTimeoutMs }: DirectOptions): Sandboxes {
  return {
    async acquire(spec, { signal }): Promise<ReadySandbox> {
      const sandbox = await backend.create(spec, { signal });
      const deadline = AbortSignal.timeout(readyTimeoutMs);
      try {
        return await startSession(sandbox, { signal: AbortSignal.any([signal, deadline]) });
      } catch (error) {
        if (!deadline.aborted || signal.aborted) throw error;
        throw new SandboxError('internal', `The sandbox was not ready within ${readyTimeoutMs / 1000} s`);
      }
    },
    probe: (options) => backend.probe(options),
  };
}
