import { performance } from 'node:perf_hooks';

export interface PaceLimits {
  readonly bodyIdleTimeoutMs: number;
  /** 0 switches the check off. */
  readonly bodyBytesPerSecondMin: number;
}

/** How many idle times a fast client may be slow for afterwards. */
const creditIdleTimesMax = 4;

/**
 * Finds out that a client sends too slowly: nothing for the idle time, or less than the required rate. Only time spent
 * waiting for the client counts, so our own back pressure is never held against it.
 *
 * The rate is kept as credit: it starts with one idle time, every byte buys more of it and waiting spends it. It is
 * bounded, so that nobody buys hours of trickling with one burst.
 */
export class Pace {
  readonly #idleMs: number;
  readonly #creditMsPerByte: number;
  #creditMs: number;
  #waitingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    limits: PaceLimits,
    private readonly onTooSlow: () => void,
  ) {
    this.#idleMs = limits.bodyIdleTimeoutMs;
    this.#creditMs = limits.bodyIdleTimeoutMs;
    this.#creditMsPerByte =
      limits.bodyBytesPerSecondMin === 0 ? Number.POSITIVE_INFINITY : 1000 / limits.bodyBytesPerSecondMin;
  }

  /** From now on the server waits for the client. */
  wait(): void {
    this.#waitingSince = performance.now();
    this.#timer ??= setTimeout(this.#check, Math.min(this.#idleMs, this.#creditMs));
  }

  /** Bytes came; the server does not wait until {@link wait} is called again. */
  receive(bytes: number): void {
    this.#creditMs = Math.min(
      this.#creditMs - this.#waitedMs() + bytes * this.#creditMsPerByte,
      this.#idleMs * creditIdleTimesMax,
    );
    this.#waitingSince = undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waitingSince = undefined;
  }

  /** The moment only ever moves back, so one timer that looks again is enough, whatever arrives in between. */
  readonly #check = (): void => {
    this.#timer = undefined;
    if (this.#waitingSince === undefined) return;
    const leftMs = this.#leftMs();
    if (leftMs > 0) this.#timer = setTimeout(this.#check, leftMs);
    // When this process itself was held up, what the client sent meanwhile is delivered before this.
    else setImmediate(this.#judge);
  };

  readonly #judge = (): void => {
    if (this.#waitingSince === undefined || this.#timer !== undefined) return;
    if (this.#leftMs() <= 0) this.onTooSlow();
    else this.#check();
  };

  #leftMs(): number {
    return Math.ceil(Math.min(this.#idleMs, this.#creditMs) - this.#waitedMs());
  }

  #waitedMs(): number {
    return this.#waitingSince === undefined ? 0 : performance.now() - this.#waitingSince;
  }
}
