import { SandboxError } from '../../jobs/ports.js';

/** OCI's `linux.seccomp`. */
export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly archMap: readonly { readonly architecture: string; readonly subArchitectures: readonly string[] }[];
  readonly syscalls: readonly (SeccompRule & { readonly comment?: string })[];
}

const architectures: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

/**
 * Turns our profile, which has the form of Docker's, into what OCI runtimes take. Names of system calls that a runtime's
 * library does not know yet are skipped by it; the default then holds for them.
 *
 * @throws SandboxError `engine_unavailable` on a processor that the profile does not cover
 */
export function toOciSeccomp(profileJson: string, architecture: string = process.arch): OciSeccomp {
  const profile: Profile = JSON.parse(profileJson);
  const covered = profile.archMap.find((entry) => entry.architecture === architectures[architecture]);
  if (covered === undefined) {
    throw new SandboxError('engine_unavailable', `Cannot filter system calls on a processor of type "${architecture}"`);
  }
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    architectures: [covered.architecture, ...covered.subArchitectures],
    syscalls: profile.syscalls.map(({ comment: _comment, ...rule }) => rule),
  };
}

/** What a zygote does and its sandboxes must not; they get a filter of their own on top that says so. */
const namespaceCalls = ['mount', 'setns', 'umount2', 'unshare'];

/** The same filter, but for what it takes to make namespaces and mounts. */
export function permitNamespaces(seccomp: OciSeccomp): OciSeccomp {
  const others = seccomp.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !namespaceCalls.includes(name)) }))
    .filter(({ names }) => names.length > 0);
  return { ...seccomp, syscalls: [...others, { names: namespaceCalls, action: 'SCMP_ACT_ALLOW' }] };
}
