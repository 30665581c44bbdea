import type { SandboxSpec } from '../../jobs/ports.js';

/** What follows the agent's source on the command line of pid 1. */
export function agentArguments(spec: SandboxSpec): readonly string[] {
  return [spec.privilege];
}
