import { setTimeout as delay } from 'node:timers/promises';

/** What `/ready` says. */
export interface ServiceState {
  readonly running: number;
  readonly waiting: number;
  readonly pool: { readonly ready: number; readonly making: number };
}

/** @throws Error while the service is not ready */
export async function stateOf(url: URL): Promise<ServiceState> {
  const response = await fetch(new URL('/ready', url));
  if (!response.ok) throw new Error(`The service is not ready: ${await response.text()}`);
  return (await response.json()) as ServiceState;
}

export interface QuietOptions {
  /** How many sandboxes have to wait at the least; 0 unless given. */
  readonly readyMin?: number;
  /** 30 s unless given. */
  readonly timeoutMs?: number;
}

/** Resolves when nothing runs, waits or is being made. */
export async function untilQuiet(url: URL, { readyMin = 0, timeoutMs = 30_000 }: QuietOptions = {}): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const { running, waiting, pool } = await stateOf(url);
    if (running === 0 && waiting === 0 && pool.making === 0 && pool.ready >= readyMin) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`The service is not at rest within ${timeoutMs / 1000} s: ${JSON.stringify({ running, pool })}`);
    }
    await delay(5);
  }
}
