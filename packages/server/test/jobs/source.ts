import { setImmediate as turn } from 'node:timers/promises';
import type { ReadySandbox, Sandboxes, SandboxSpec } from '../../dist/jobs/ports.js';

/** A sandbox that only knows whether it lives. */
export interface SourceSandbox extends ReadySandbox {
  readonly spec: SandboxSpec;
  alive: boolean;
}

/** Makes sandboxes that are objects and nothing else, and keeps account of each. */
export class Source implements Sandboxes {
  readonly made: SourceSandbox[] = [];
  readonly destroyed = new Set<string>();
  /** How many are being made. */
  making = 0;
  makingMost = 0;
  /** What making one fails with. */
  failure: Error | undefined;
  readonly #held: (() => void)[] = [];
  #holding = false;

  get left(): readonly string[] {
    return this.made.map(({ id }) => id).filter((id) => !this.destroyed.has(id));
  }

  async acquire(spec: SandboxSpec, { signal }: { readonly signal: AbortSignal }): Promise<SourceSandbox> {
    this.making += 1;
    this.makingMost = Math.max(this.makingMost, this.making);
    try {
      if (this.#holding) await new Promise<void>((resolve) => this.#held.push(resolve));
      else await turn();
      signal.throwIfAborted();
      if (this.failure !== undefined) throw this.failure;
      return this.#make(spec);
    } finally {
      this.making -= 1;
    }
  }

  async probe(): Promise<void> {}

  /** From now on making takes until {@link release}. */
  hold(): void {
    this.#holding = true;
  }

  async release(): Promise<void> {
    this.#holding = false;
    for (const resolve of this.#held.splice(0)) resolve();
    await settled();
  }

  #make(spec: SandboxSpec): SourceSandbox {
    const id = String(this.made.length);
    const sandbox: SourceSandbox = {
      id,
      spec,
      alive: true,
      phase: 'setup',
      run: () => Promise.reject(new Error('It runs nothing')),
      measure: async () => undefined,
      destroy: async () => {
        await turn();
        this.destroyed.add(id);
      },
    };
    this.made.push(sandbox);
    return sandbox;
  }
}

/** Once everything that is under way and does not wait for time has come to its end. */
export async function settled(): Promise<void> {
  for (let count = 0; count < 50; count += 1) await turn();
}
