/** One unit of work that waits for its turn. */
export interface QueueEntry {
  /** Called once, when it is the entry's turn; the slot is free again when the promise settles. Never rejects. */
  run(): Promise<void>;
}

export interface QueueLimits {
  /** How many entries run at once. */
  readonly concurrencyMax: number;
  /** How many entries may wait. */
  readonly queueMax: number;
}

/** First come, first served; bounded in what runs and in what waits. */
export class Queue {
  readonly #waiting = new Set<QueueEntry>();
  readonly #running = new Set<Promise<void>>();
  #paused = false;

  constructor(private readonly limits: QueueLimits) {}

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** How many more entries may come now, to run or to wait. */
  get room(): number {
    const { queueMax, concurrencyMax } = this.limits;
    return Math.max(0, queueMax - this.#waiting.size) + Math.max(0, concurrencyMax - this.#running.size);
  }

  push(entry: QueueEntry): void {
    this.#waiting.add(entry);
    this.#advance();
  }

  /** Puts an entry that could not run before all that wait. */
  pushFront(entry: QueueEntry): void {
    const others = [...this.#waiting];
    this.#waiting.clear();
    for (const one of [entry, ...others]) this.#waiting.add(one);
    this.#advance();
  }

  /** Takes back an entry that waits still; false when its turn has come. */
  remove(entry: QueueEntry): boolean {
    return this.#waiting.delete(entry);
  }

  /** Nothing new runs until {@link resume}. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#advance();
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #advance(): void {
    for (const entry of this.#waiting) {
      if (this.#paused || this.#running.size >= this.limits.concurrencyMax) return;
      this.#waiting.delete(entry);
      const running = entry.run().finally(() => {
        this.#running.delete(running);
        this.#advance();
      });
      this.#running.add(running);
    }
  }
}
