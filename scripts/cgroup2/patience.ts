import { vi } from 'vitest';
import { slowness } from '../../e2e/support/slowness.js';

// Emulated, everything takes longer; what a test waits for happens all the same.
const timeouts = { testTimeout: 600_000, hookTimeout: 600_000 };

// Files that set the time that they usually take get this one instead.
const { setConfig, waitFor, waitUntil } = vi;
vi.setConfig = (config) => setConfig({ ...config, ...timeouts });
setConfig(timeouts);

type Waiting = Parameters<typeof waitFor>[1];

function prolong(options: Waiting = {}): Waiting {
  const { timeout = 1_000, ...rest } = typeof options === 'number' ? { timeout: options } : options;
  return { ...rest, timeout: timeout * slowness };
}

vi.waitFor = (condition, options) => waitFor(condition, prolong(options));
vi.waitUntil = (condition, options) => waitUntil(condition, prolong(options));
