/**
 * An execution that is not over, or whose end is not written yet. The lock makes this process the only writer, so where
 * an execution stands is decided here, without waiting for the disk.
 */
export class LiveExecution {
  #state: 'pending' | 'running' | 'final' | 'forgotten' = 'pending';
  #outputCount: number;

  /** @param outputCount how much output it has already */
  constructor(
    readonly id: string,
    readonly key: number,
    outputCount: number,
  ) {
    this.#outputCount = outputCount;
  }

  get waits(): boolean {
    return this.#state === 'pending';
  }

  get over(): boolean {
    return this.#state === 'final' || this.#state === 'forgotten';
  }

  get forgotten(): boolean {
    return this.#state === 'forgotten';
  }

  /** False when it had started or ended before. */
  start(): boolean {
    if (this.#state !== 'pending') return false;
    this.#state = 'running';
    return true;
  }

  /** Its place among the output; undefined when there can be no more. */
  nextOutput(): number | undefined {
    return this.over ? undefined : this.#outputCount++;
  }

  /** False when it had ended before. */
  end(): boolean {
    if (this.over) return false;
    this.#state = 'final';
    return true;
  }

  /** It could not be recorded, and so it never was. */
  forget(): void {
    this.#state = 'forgotten';
  }
}
