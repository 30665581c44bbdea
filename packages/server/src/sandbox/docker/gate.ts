import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import { SandboxError } from '../../jobs/ports.js';
import { switchIpv6Off } from './abilities.js';
import { type AttachedContainer, attachContainer, createContainer } from './attached.js';
import { describeGate } from './container.js';
import { demux } from './demux.js';
import { raceAbort } from './engine.js';
import type { Image } from './images.js';
import { toSandboxError } from './refusal.js';
import type { ContainerParts } from './start.js';

/**
 * The network of one sandbox, confined to public addresses. It belongs to a container of its own, made from an image
 * that is trusted with the capability which that takes; the sandbox joins it later and never has the capability. No
 * other joins it, before or after.
 */
export interface Gate {
  readonly id: string;
  /**
   * Resolves once nothing but public addresses can be reached from its network.
   *
   * Rejects with SandboxError `image_unavailable` or `internal`, EngineRefusal, or the abort reason.
   */
  readonly confined: Promise<void>;
  /** Removes it. Never throws. */
  close(options: { readonly timeoutMs: number }): Promise<void>;
}

interface GateRequest {
  readonly image: Image;
  readonly signal: AbortSignal;
}

const confineTimeoutMs = 20_000;
const complaintCharactersMax = 1000;

/** Makes a gate and lets it start in the background. */
export async function openGate(parts: ContainerParts, { image, signal }: GateRequest): Promise<Gate> {
  // The filter lets no IPv6 out either way, but without an address programs do not even try.
  const sysctls = switchIpv6Off(parts.abilities);
  const create = (name: string) =>
    createContainer(parts.engine, describeGate({ name, image, sysctls }, parts.settings));
  const container = await attachContainer(parts, create, { signal });
  const confined = confine(parts, container, signal).catch((error: unknown) => {
    throw toSandboxError(image, error);
  });
  // Whoever closes the gate before it is confined does not wait for that.
  confined.catch(() => {});
  return { id: container.id, confined, close: container.discard };
}

async function confine(parts: ContainerParts, container: AttachedContainer, signal: AbortSignal): Promise<void> {
  const { stdout, stderr } = demux(container.connection);
  const deadline = AbortSignal.timeout(confineTimeoutMs);
  const steps = Promise.all([parts.readKernel(), readAnswer(stdout, stderr), container.start()]);
  try {
    const [engineKernel, confinedKernel] = await raceAbort(steps, [signal, deadline]);
    checkKernel(engineKernel, confinedKernel);
  } catch (error) {
    if (!deadline.aborted || signal.aborted) throw error;
    throw cannotConfine(`it took longer than ${confineTimeoutMs / 1000} s`);
  }
}

/** The release of the kernel whose network the gate has confined. */
async function readAnswer(stdout: Readable, stderr: Readable): Promise<string> {
  let complaint = '';
  stderr.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(-complaintCharactersMax);
  });
  for await (const line of createInterface({ input: stdout })) {
    const release = /^confined (\S+)$/.exec(line)?.[1];
    if (release !== undefined) return release;
  }
  await finished(stderr);
  throw cannotConfine(`the gate ended with ${JSON.stringify(complaint.trim().split('\n').at(-1))}`);
}

/**
 * What confines is in the kernel of the gate. A runtime that gives every container a kernel of its own, as gVisor and
 * Kata do, would let the sandbox past it.
 */
function checkKernel(engineKernel: string, confinedKernel: string): void {
  if (confinedKernel === engineKernel) return;
  const kernels = `${JSON.stringify(confinedKernel)}, and the engine has ${JSON.stringify(engineKernel)}`;
  throw cannotConfine(`its runtime brings a kernel of its own (${kernels})`);
}

function cannotConfine(reason: string): SandboxError {
  return new SandboxError('internal', `Cannot confine the network of a sandbox: ${reason}`);
}

/** Lets the gate configure the kernel's packet filter, which no sandbox may. */
export function allowNetfilter(profileJson: string): string {
  const profile: { syscalls: { names: string[]; action: string; args?: object[] }[] } = JSON.parse(profileJson);
  const others = profile.syscalls.filter((rule) => !isNetlinkRefusal(rule));
  const allowed = [netlink, { index: 2, value: netlinkNetfilter, valueTwo: 0, op: 'SCMP_CMP_EQ' }];
  return JSON.stringify({
    ...profile,
    syscalls: [...others, { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: allowed }],
  });
}

const netlink = { index: 0, value: 16, valueTwo: 0, op: 'SCMP_CMP_EQ' };
const netlinkNetfilter = 12;

/** The rule that allows netlink no other protocol, which would be in the way of ours. */
function isNetlinkRefusal({
  action,
  args = [],
}: {
  readonly action: string;
  readonly args?: readonly object[];
}): boolean {
  return action === 'SCMP_ACT_ERRNO' && args.some((arg) => isDeepStrictEqual(arg, netlink));
}
