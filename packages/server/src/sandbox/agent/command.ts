import type { SandboxSpec } from '../../jobs/ports.js';

/**
 * What follows the agent's source on the command line of pid 1.
 *
 * @param deniedAddresses IPv4 addresses or networks that a sandbox with a network must not reach, besides all that are
 * not public
 */
export function agentArguments(spec: SandboxSpec, deniedAddresses: readonly string[]): readonly string[] {
  return [spec.privilege, spec.network, ...(spec.network === 'public' ? deniedAddresses : [])];
}
