import type { Config } from '@python-executor/server';
import type { Context } from './context.js';
import { UsageError } from './failure.js';

/**
 * Reads the configuration of the service. Loads the service to do so, which takes a moment.
 *
 * @throws UsageError that names every variable at fault
 */
export async function readConfiguration(environment: Context['environment']): Promise<Config> {
  const { ConfigError, readConfig } = await import('@python-executor/server');
  try {
    return readConfig(environment);
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(error.message, { cause: error }) : error;
  }
}
