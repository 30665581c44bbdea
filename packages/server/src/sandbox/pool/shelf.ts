import type { ReadySandbox, SandboxSpec } from '../../jobs/ports.js';

/** A sandbox that waits for a job. */
export interface Waiting {
  readonly sandbox: ReadySandbox;
  readonly sinceMs: number;
}

/** Somebody who waits for a sandbox. */
export interface Taker {
  give(sandbox: ReadySandbox): void;
  fail(error: unknown): void;
}

/** Everything about one spec: what waits, what is being made, who waits for it, how much of it is asked for. */
export class Shelf {
  readonly waiting: Waiting[] = [];
  readonly takers = new Set<Taker>();
  /** How many are being made. */
  making = 0;
  /** How many should wait. */
  target = 0;
  /** After a failure, no refill before this time. */
  restUntilMs = 0;
  lastUsedMs = 0;
  /** How many were taken and not given back lately, at the most: the shelf is filled up to that. */
  #peak = 0;
  #inUse = 0;

  constructor(
    readonly key: string,
    readonly spec: SandboxSpec,
    /** How many wait even when nothing was asked for. */
    readonly targetMin: number,
  ) {
    this.target = targetMin;
  }

  /** Counts a use from now until the returned function is called. */
  beginUse(nowMs: number, targetMax: number): () => void {
    this.lastUsedMs = nowMs;
    this.#inUse += 1;
    this.#peak = Math.max(this.#peak, this.#inUse);
    this.target = Math.min(Math.max(this.targetMin, this.#peak), Math.max(targetMax, this.targetMin));
    let over = false;
    return () => {
      if (!over) this.#inUse -= 1;
      over = true;
    };
  }

  /** Halves what is kept beyond the least, once in a while; nothing is kept of what nobody has asked for lately. */
  decay(nowMs: number, idleMs: number): void {
    const isIdle = nowMs - this.lastUsedMs > idleMs;
    this.#peak = isIdle ? this.#inUse : Math.max(this.#inUse, Math.ceil(this.#peak / 2));
    this.target = Math.min(this.target, Math.max(this.targetMin, this.#peak));
  }

  /** What is missing to the target, beside what is being made for others. */
  get missing(): number {
    return this.target - this.waiting.length - Math.max(0, this.making - this.takers.size);
  }

  get unused(): boolean {
    return this.target === 0 && this.waiting.length === 0 && this.making === 0 && this.takers.size === 0;
  }
}
