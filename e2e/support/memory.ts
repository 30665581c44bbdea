import type { Service } from './service.js';

const sampleMs = 25;

export interface MemoryUse<Value> {
  readonly value: Value;
  /** The most that the server had more than before, in bytes. */
  readonly grownBytes: number;
}

/** Watches the resident memory of the server while something is done. */
export async function mostMemory<Value>(
  service: Pick<Service, 'residentBytes'>,
  act: () => Promise<Value>,
): Promise<MemoryUse<Value>> {
  const before = await service.residentBytes();
  let most = before;
  const sample = async (): Promise<void> => {
    most = Math.max(most, await service.residentBytes());
  };
  const timer = setInterval(() => void sample(), sampleMs);
  try {
    const value = await act();
    await sample();
    return { value, grownBytes: most - before };
  } finally {
    clearInterval(timer);
  }
}
