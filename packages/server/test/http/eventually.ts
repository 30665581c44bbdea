import { expect } from 'vitest';

/** Expects something that comes true by and by; patient, as the machine may be busy. */
export function eventually<Value>(read: () => Value) {
  return expect.poll(read, { interval: 5, timeout: 4_000 });
}
