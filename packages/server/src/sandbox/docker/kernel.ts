import type { Engine } from './engine.js';

/** Asks the engine once for the release of its kernel, e.g. `6.1.0-18-amd64`. */
export function createKernelReader(engine: Engine): () => Promise<string> {
  let reading: Promise<string> | undefined;

  async function read(): Promise<string> {
    try {
      const { KernelVersion: release } = await engine.call('ask for version', () => engine.docker.version());
      return release;
    } catch (error) {
      // The next one asks again.
      reading = undefined;
      throw error;
    }
  }

  return () => {
    reading ??= read();
    return reading;
  };
}
