import type { SandboxSpec } from '../../jobs/ports.js';

export interface AgentCommandOptions {
  /** See bundle.ts. */
  readonly source: string;
  /** IPv4 addresses or networks that a sandbox with a network must not reach, besides all that are not public. */
  readonly deniedAddresses: readonly string[];
}

/** The command line of pid 1 in a sandbox. */
export function agentCommand(spec: SandboxSpec, { source, deniedAddresses }: AgentCommandOptions): readonly string[] {
  const denied = spec.network === 'public' ? deniedAddresses : [];
  return ['python3', '-I', '-S', '-c', source, spec.privilege, spec.network, ...denied];
}
