import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { ReadySandbox, Sandboxes, SandboxSpec, SandboxStats } from '../../jobs/ports.js';
import { Shelf, type Taker, type Waiting } from './shelf.js';

/** What the pool has to report, for metrics. */
export interface PoolObserver {
  onHit(ageMs: number): void;
  onMiss(): void;
  onMade(makingMs: number): void;
}

export interface PoolOptions {
  /** Makes sandboxes. */
  readonly source: Sandboxes;
  /** Kept from the start, whether it is asked for or not. */
  readonly defaultSpec: SandboxSpec;
  /** How many of the default spec wait at the least; 0 makes every sandbox when it is asked for. */
  readonly sizeMin: number;
  /** How many wait at the most, all specs together. */
  readonly sizeMax: number;
  /** How much memory those that wait may take together, at {@link idleSandboxBytes} each. */
  readonly memoryBytesMax: number;
  /** A spec that was not asked for so long is not kept any more, ms. */
  readonly idleMs: number;
  /** A sandbox that has waited so long is replaced, ms: its image may be another by now. */
  readonly ageMsMax: number;
  /** How many are made at once while nobody waits for them. */
  readonly refillConcurrencyMax: number;
  /** How long what was taken is not replaced while in use, ms: to make another would slow the run. 0 does so at once. */
  readonly refillDelayMs: number;
  readonly logger: Logger;
  readonly observer?: PoolObserver;
}

export interface Pool extends Sandboxes {
  readonly stats: SandboxStats;
  /** Destroys everything that waits. Idempotent. */
  close(): Promise<void>;
}

/** What a waiting sandbox is counted with: an interpreter, an agent and the kernel's share. */
export const idleSandboxBytes = 16 * 1024 * 1024;

const tickMs = 1_000;
const decayEveryTicks = 30;
const restAfterFailureMs = 5_000;

/** Keeps sandboxes that are started already, so that a job meets one that waits. Each is handed out once. */
export function createPool(options: PoolOptions): Pool {
  return new WarmPool(options);
}

class WarmPool implements Pool {
  readonly #shelves = new Map<string, Shelf>();
  readonly #sizeMax: number;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #timer: NodeJS.Timeout;
  #refilling = 0;
  #ticks = 0;
  #hits = 0;
  #misses = 0;

  constructor(private readonly options: PoolOptions) {
    this.#sizeMax = Math.min(options.sizeMax, Math.floor(options.memoryBytesMax / idleSandboxBytes));
    this.#shelf(options.defaultSpec);
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
    this.#refill();
  }

  get stats(): SandboxStats {
    let ready = 0;
    let making = 0;
    for (const shelf of this.#shelves.values()) {
      ready += shelf.waiting.length;
      making += shelf.making;
    }
    return { ready, making, hits: this.#hits, misses: this.#misses };
  }

  async acquire(spec: SandboxSpec, { signal }: { readonly signal: AbortSignal }): Promise<ReadySandbox> {
    signal.throwIfAborted();
    const shelf = this.#shelf(spec);
    const endUse = shelf.beginUse(performance.now(), this.#sizeMax);
    try {
      const sandbox = this.#takeWaiting(shelf) ?? (await this.#await(shelf, signal));
      const refill = this.#refillAfterUse();
      return inUse(sandbox, () => {
        endUse();
        refill();
      });
    } catch (error) {
      endUse();
      this.#refill();
      throw error;
    }
  }

  probe(options: { readonly signal: AbortSignal }): Promise<void> {
    return this.options.source.probe(options);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new Error('The pool is closed'));
    for (const shelf of this.#shelves.values()) {
      for (const { sandbox } of shelf.waiting.splice(0)) this.#destroy(sandbox);
    }
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  #shelf(spec: SandboxSpec): Shelf {
    const key = keyOf(spec);
    let shelf = this.#shelves.get(key);
    if (shelf === undefined) {
      const isDefault = key === keyOf(this.options.defaultSpec);
      shelf = new Shelf(key, spec, isDefault ? Math.min(this.options.sizeMin, this.#sizeMax) : 0);
      this.#shelves.set(key, shelf);
    }
    return shelf;
  }

  #takeWaiting(shelf: Shelf): ReadySandbox | undefined {
    for (let next = shelf.waiting.shift(); next !== undefined; next = shelf.waiting.shift()) {
      if (!next.sandbox.alive) {
        this.#destroy(next.sandbox);
        continue;
      }
      this.#hits += 1;
      this.options.observer?.onHit(performance.now() - next.sinceMs);
      return next.sandbox;
    }
    return undefined;
  }

  /** Waits for the next sandbox that is made, and sees to it that one is. */
  #await(shelf: Shelf, signal: AbortSignal): Promise<ReadySandbox> {
    this.#misses += 1;
    this.options.observer?.onMiss();
    return new Promise((resolve, reject) => {
      const taker: Taker = {
        give: (sandbox) => {
          signal.removeEventListener('abort', onAbort);
          resolve(sandbox);
        },
        fail: (error) => {
          signal.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      const onAbort = (): void => {
        shelf.takers.delete(taker);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      shelf.takers.add(taker);
      if (shelf.making < shelf.takers.size) this.#make(shelf);
    });
  }

  /** Makes one sandbox, for whoever waits longest when it is there, else for the shelf. */
  #make(shelf: Shelf, onDone: () => void = () => {}): void {
    shelf.making += 1;
    const beganMs = performance.now();
    const making = this.options.source
      .acquire(shelf.spec, { signal: this.#closing.signal })
      .then(
        (sandbox) => {
          shelf.making -= 1;
          this.options.observer?.onMade(performance.now() - beganMs);
          this.#place(shelf, sandbox);
        },
        (error: unknown) => {
          shelf.making -= 1;
          this.#failed(shelf, error);
        },
      )
      .finally(onDone);
    this.#track(making);
  }

  #place(shelf: Shelf, sandbox: ReadySandbox): void {
    const [taker] = shelf.takers;
    if (taker !== undefined) {
      shelf.takers.delete(taker);
      taker.give(sandbox);
    } else if (this.#closing.signal.aborted || shelf.waiting.length >= shelf.target) {
      this.#destroy(sandbox);
    } else {
      shelf.waiting.push({ sandbox, sinceMs: performance.now() });
      this.#evict();
    }
  }

  #failed(shelf: Shelf, error: unknown): void {
    shelf.restUntilMs = performance.now() + restAfterFailureMs;
    const [taker] = shelf.takers;
    if (taker !== undefined && shelf.making < shelf.takers.size) {
      shelf.takers.delete(taker);
      taker.fail(error);
    } else if (!this.#closing.signal.aborted) {
      this.options.logger.warn({ err: error, image: shelf.spec.image }, 'a sandbox for the pool could not be made');
    }
  }

  /** Refills when the returned function is called, or when the delay is over. */
  #refillAfterUse(): () => void {
    // After the caller has gone on, not before.
    const refill = (): void => void setImmediate(() => this.#refill());
    if (this.options.refillDelayMs === 0) refill();
    const timer = setTimeout(refill, this.options.refillDelayMs).unref();
    return () => {
      clearTimeout(timer);
      refill();
    };
  }

  /** Tops up the shelves behind the foreground, those asked for last first. */
  #refill(): void {
    if (this.#closing.signal.aborted) return;
    const nowMs = performance.now();
    const shelves = [...this.#shelves.values()].sort((one, other) => other.lastUsedMs - one.lastUsedMs);
    for (const shelf of shelves) {
      if (nowMs < shelf.restUntilMs) continue;
      while (shelf.missing > 0 && this.#refilling < this.options.refillConcurrencyMax) {
        this.#refilling += 1;
        this.#make(shelf, () => {
          this.#refilling -= 1;
          this.#refill();
        });
      }
    }
  }

  /** Destroys what waits beyond the most, of the shelf that was used least recently. */
  #evict(): void {
    let ready = this.stats.ready;
    const shelves = [...this.#shelves.values()].sort((one, other) => one.lastUsedMs - other.lastUsedMs);
    for (const shelf of shelves) {
      while (ready > this.#sizeMax && shelf.waiting.length > shelf.targetMin) {
        const oldest = shelf.waiting.shift() as Waiting;
        this.#destroy(oldest.sandbox);
        shelf.target = Math.max(shelf.targetMin, shelf.waiting.length);
        ready -= 1;
      }
    }
  }

  #tick(): void {
    this.#ticks += 1;
    const nowMs = performance.now();
    for (const shelf of this.#shelves.values()) {
      if (this.#ticks % decayEveryTicks === 0) shelf.decay(nowMs, this.options.idleMs);
      const kept = shelf.waiting.filter(
        ({ sandbox, sinceMs }) => sandbox.alive && nowMs - sinceMs < this.options.ageMsMax,
      );
      const surplus = Math.max(0, kept.length - shelf.target);
      kept.splice(0, surplus);
      for (const waiting of shelf.waiting) if (!kept.includes(waiting)) this.#destroy(waiting.sandbox);
      shelf.waiting.splice(0, shelf.waiting.length, ...kept);
      if (shelf.unused && shelf.targetMin === 0) this.#shelves.delete(shelf.key);
    }
    this.#refill();
  }

  #destroy(sandbox: ReadySandbox): void {
    this.#track(sandbox.destroy());
  }

  #track(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }
}

function keyOf(spec: SandboxSpec): string {
  return JSON.stringify(Object.entries(spec).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The use of a sandbox ends when it is destroyed. */
function inUse(sandbox: ReadySandbox, endUse: () => void): ReadySandbox {
  return {
    id: sandbox.id,
    get phase() {
      return sandbox.phase;
    },
    get alive() {
      return sandbox.alive;
    },
    run: (delivery, options) => sandbox.run(delivery, options),
    measure: () => sandbox.measure(),
    async destroy() {
      endUse();
      await sandbox.destroy();
    },
  };
}
