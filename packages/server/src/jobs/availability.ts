import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '@python-executor/contract';
import type { Sandboxes } from './ports.js';

const retryMs = 1_000;
const probeTimeoutMs = 5_000;

export interface AvailabilityOptions {
  readonly sandboxes: Pick<Sandboxes, 'probe'>;
  readonly onDown: (reason: string) => void;
  readonly onUp: () => void;
  /** Aborts when the server shuts down. */
  readonly signal: AbortSignal;
}

/** Knows whether sandboxes can be made. Once they cannot, it asks every second until they can again. */
export class Availability {
  #reason: string | undefined;

  constructor(private readonly options: AvailabilityOptions) {}

  /** @throws ServiceError `engine_unavailable` while no sandbox can be made */
  check(): void {
    if (this.#reason !== undefined) {
      throw new ServiceError('engine_unavailable', `Cannot run anything now: ${this.#reason}`, {
        retryAfterSeconds: 5,
      });
    }
  }

  /** Asks now. Throws as {@link check} does. */
  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.options.sandboxes.probe({ signal });
    } catch (error) {
      this.reportDown(error);
    }
    this.check();
  }

  /** A sandbox could not be made because the engine does not answer. */
  reportDown(error: unknown): void {
    const wasUp = this.#reason === undefined;
    this.#reason = error instanceof Error ? error.message : String(error);
    if (!wasUp) return;
    this.options.onDown(this.#reason);
    void this.#waitUntilUp();
  }

  async #waitUntilUp(): Promise<void> {
    const { sandboxes, signal } = this.options;
    while (!signal.aborted) {
      await delay(retryMs, undefined, { ref: false });
      try {
        await sandboxes.probe({ signal: AbortSignal.timeout(probeTimeoutMs) });
        this.#reason = undefined;
        this.options.onUp();
        return;
      } catch (error) {
        this.#reason = error instanceof Error ? error.message : String(error);
      }
    }
  }
}
