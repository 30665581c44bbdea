import type { Readable, Writable } from 'node:stream';
import type { Measured, SandboxMaking, SandboxSpec } from '../jobs/ports.js';

/** A started sandbox: its agent is pid 1 inside and speaks frames over stdin and stdout (see agent/protocol.ts). */
export interface Sandbox {
  readonly id: string;
  /** To the agent. Ending or destroying it makes the agent end the sandbox. */
  readonly stdin: Writable;
  /** From the agent. Ends when the sandbox does. */
  readonly stdout: Readable;
  /** What the agent's interpreter has to say of itself, e.g. a traceback of ours. Never the program's output. */
  readonly stderr: Readable;
  /** The job begins: CPU time counts from here. Absent where the agent counts by itself. */
  beginCounting?(): void;
  /** Counters of the sandbox; undefined when they cannot be had any more. Never throws. */
  measure(): Promise<Measured | undefined>;
  /** Kills every process of the sandbox and removes every trace of it. Idempotent, never throws. */
  destroy(): Promise<void>;
}

/** Makes and destroys sandboxes; knows nothing of the protocol, of pools, of jobs. */
export interface Backend {
  readonly name: string;
  /** What networks it can give a sandbox. */
  readonly networks: readonly SandboxSpec['network'][];
  /**
   * Makes a sandbox and starts the agent in it.
   *
   * @throws SandboxError `image_unavailable`, `engine_unavailable` or `internal`; nothing is left behind then.
   */
  create(spec: SandboxSpec, options: { readonly signal: AbortSignal }): Promise<Sandbox>;
  /** Removes what instances that are gone have left behind, never what a live one owns. Returns how many. */
  reap(): Promise<number>;
  /** @throws SandboxError `engine_unavailable` unless a sandbox could be made now. */
  probe(options: { readonly signal: AbortSignal }): Promise<void>;
  /** Says how sandboxes are made now. @throws SandboxError `engine_unavailable` when they cannot be */
  describe(): Promise<SandboxMaking>;
  /** Lets go of connections and files of its own. */
  close(): Promise<void>;
}
