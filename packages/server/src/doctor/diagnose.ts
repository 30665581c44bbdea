import type { Config } from '../config.js';
import type { Check } from './check.js';

export interface Diagnosis {
  /** Whether a program ran through a backend that the configuration admits. */
  readonly works: boolean;
  readonly checks: readonly Check[];
}

export interface DiagnoseOptions {
  readonly signal: AbortSignal;
  /** Hears of each finding as it is made. */
  readonly onCheck?: (check: Check) => void;
}

/**
 * Finds out whether a server with this configuration could run programs on this machine, and what stands in the way.
 * Starts nothing that stays, pulls nothing, changes nothing.
 *
 * @throws the abort reason
 */
export async function diagnose(config: Config, options: DiagnoseOptions): Promise<Diagnosis> {
  // With it comes the client library of the engine, which takes a server that starts a quarter of a second to load.
  const { examine } = await import('./examination.js');
  return await examine(config, options);
}
