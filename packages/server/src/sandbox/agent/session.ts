import type { Buffer } from 'node:buffer';
import { EventEmitter, once } from 'node:events';
import type { AgentExit, JobDelivery, Measured, ReadySandbox, RunOptions } from '../../jobs/ports.js';
import { SandboxError } from '../../jobs/ports.js';
import type { Sandbox } from '../backend.js';
import {
  agentFrame,
  type EndFrame,
  encodeFrame,
  type Frame,
  FrameDecoder,
  hostFrame,
  ProtocolError,
  parseEnd,
  pieceBytesMax,
} from './protocol.js';

const diagnosticsCharactersMax = 2_000;

/**
 * Waits until the agent in a new sandbox is ready for its job.
 *
 * @throws SandboxError `lost` with what the interpreter said, when it ends instead; the reason when `signal` aborts.
 * The sandbox is destroyed then.
 */
export async function startSession(sandbox: Sandbox, options: { readonly signal: AbortSignal }): Promise<ReadySandbox> {
  const session = new AgentSession(sandbox);
  try {
    await session.whenReady(options.signal);
    return session;
  } catch (error) {
    await session.destroy();
    throw error;
  }
}

/** The host's side of the conversation with one agent. Trusts no frame. */
class AgentSession implements ReadySandbox {
  readonly id: string;
  #phase: 'setup' | 'run' = 'setup';
  #diagnostics = '';
  #failure: Error | undefined;
  #ready = false;
  #end: EndFrame | undefined;
  #exception: readonly [type: string, line: string] | undefined;
  #result: string | undefined;
  #onOutput: RunOptions['onOutput'] | undefined;
  /** Pieces of output whose reader is not done with them yet. */
  #untaken = 0;
  readonly #events = new EventEmitter();
  readonly #decoder = new FrameDecoder();

  constructor(private readonly sandbox: Sandbox) {
    this.id = sandbox.id;
    sandbox.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    sandbox.stdout.on('close', () => this.#fail(undefined));
    sandbox.stdout.on('error', (error) => this.#fail(error));
    sandbox.stderr.on('data', (chunk: Buffer) => {
      this.#diagnostics = (this.#diagnostics + chunk.toString()).slice(-diagnosticsCharactersMax);
    });
    sandbox.stderr.on('error', () => {});
    // A write to an agent that is gone fails; that it is gone shows on its stdout.
    sandbox.stdin.on('error', () => {});
  }

  get phase(): 'setup' | 'run' {
    return this.#phase;
  }

  get alive(): boolean {
    return this.#failure === undefined;
  }

  async whenReady(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#ready, signal);
  }

  async run(delivery: JobDelivery, options: RunOptions): Promise<AgentExit> {
    this.#onOutput = options.onOutput;
    this.sandbox.beginCounting?.();
    const sending = this.#send(delivery, options.signal);
    // Why sending failed shows in how the agent ended.
    sending.catch((error: unknown) => this.#fail(error));
    const end = await this.#until(() => this.#end, options.signal);
    const counted = end.counted ? undefined : await this.sandbox.measure();
    const [errorType, errorLine] = this.#exception ?? ['', ''];
    return {
      ...end,
      cpuMs: counted?.cpuMs ?? end.cpuMs,
      memoryPeakBytes: counted?.memoryPeakBytes ?? end.memoryPeakBytes,
      oomKilled: end.oomKilled || (counted?.oomKilled ?? false),
      stdoutTruncated: end.stdoutCut,
      stderrTruncated: end.stderrCut,
      errorType: errorType === '' ? undefined : errorType,
      errorLine: /^\d{1,9}$/.test(errorLine) ? Number(errorLine) : undefined,
      result: this.#result,
    };
  }

  measure(): Promise<Measured | undefined> {
    return this.sandbox.measure();
  }

  async destroy(): Promise<void> {
    this.#onOutput = undefined;
    await this.sandbox.destroy();
  }

  /** Resolves with the first value that `probe` has, checked whenever the agent has said something. */
  async #until<Value>(probe: () => Value | undefined | false, signal: AbortSignal): Promise<Value> {
    for (;;) {
      signal.throwIfAborted();
      const value = probe();
      if (value !== undefined && value !== false) return value;
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await once(this.#events, 'change', { signal });
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      }
    }
  }

  async #send({ job, archive, stdoutBytesMax, stderrBytesMax }: JobDelivery, signal: AbortSignal): Promise<void> {
    const limits = new Uint8Array(16);
    const view = new DataView(limits.buffer);
    view.setBigUint64(0, BigInt(stdoutBytesMax));
    view.setBigUint64(8, BigInt(stderrBytesMax));
    // Corked, a small job is one write.
    this.sandbox.stdin.cork();
    try {
      await this.#write(hostFrame.limits, limits, signal);
      await this.#write(hostFrame.entrypoint, job.entrypoint, signal);
      for (const argument of job.args) await this.#write(hostFrame.argument, argument, signal);
      for (const variable of job.env) await this.#write(hostFrame.variable, variable, signal);
      for (const command of job.preCommands) await this.#write(hostFrame.preCommand, command, signal);
      if (job.evalLastExpr) await this.#write(hostFrame.evalLastExpr, '', signal);
      if (archive.bytes !== undefined) await this.#writePieces(hostFrame.archive, archive.bytes, signal);
      else for await (const chunk of archive.open()) await this.#writePieces(hostFrame.archive, chunk, signal);
      await this.#write(hostFrame.go, '', signal);
      await this.#writePieces(hostFrame.stdin, new TextEncoder().encode(job.stdin), signal);
      await this.#write(hostFrame.stdinEnd, '', signal);
    } finally {
      this.sandbox.stdin.uncork();
    }
  }

  async #writePieces(type: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    for (let offset = 0; offset < bytes.length; offset += pieceBytesMax) {
      await this.#write(type, bytes.subarray(offset, offset + pieceBytesMax), signal);
    }
  }

  async #write(type: string, payload: Uint8Array | string, signal: AbortSignal): Promise<void> {
    const { stdin } = this.sandbox;
    if (stdin.write(encodeFrame(type, payload))) return;
    while (stdin.writableCorked > 0) stdin.uncork();
    if (stdin.writableNeedDrain) await once(stdin, 'drain', { signal });
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      for (const frame of this.#decoder.decode(chunk)) this.#take(frame);
    } catch (error) {
      this.#fail(error);
    }
    this.#notify();
  }

  #take({ type, payload }: Frame): void {
    if (this.#end !== undefined) throw new ProtocolError('The agent went on after the end');
    switch (type) {
      case agentFrame.stdout:
        this.#forward('stdout', payload);
        return;
      case agentFrame.stderr:
        this.#forward('stderr', payload);
        return;
      case agentFrame.ready:
        this.#ready = true;
        return;
      case agentFrame.phase:
        this.#phase = 'run';
        return;
      case agentFrame.exception: {
        const [name = '', line = ''] = payload.toString().split('\0', 2);
        this.#exception = [name, line];
        return;
      }
      case agentFrame.result:
        this.#result = payload.toString();
        return;
      case agentFrame.end:
        this.#end = parseEnd(payload);
        return;
      default:
        throw new ProtocolError(`The agent sent a frame of type ${JSON.stringify(type)}`);
    }
  }

  /** Reads on only when the output was taken, so that a program cannot outrun its reader. */
  #forward(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    const taken = this.#onOutput?.(stream, bytes);
    if (taken === undefined) return;
    const { stdout } = this.sandbox;
    stdout.pause();
    this.#untaken += 1;
    void taken.then(() => {
      this.#untaken -= 1;
      if (this.#untaken === 0) stdout.resume();
    });
  }

  #fail(cause: unknown): void {
    if (this.#failure === undefined) {
      const said = this.#diagnostics.trim();
      this.#failure =
        cause instanceof ProtocolError
          ? new SandboxError('protocol', cause.message, { cause })
          : new SandboxError('lost', `The sandbox ended unexpectedly${said === '' ? '' : `: ${said}`}`, { cause });
    }
    this.#notify();
  }

  #notify(): void {
    this.#events.emit('change');
  }
}
