import { Buffer } from 'node:buffer';

/**
 * The frames between host and agent: one type byte, four length bytes big endian, payload. The agent's side of this is
 * `agent/channel.py`.
 *
 * | Host → agent | | Agent → host | |
 * |---|---|---|---|
 * | `L` | limits: two 64-bit numbers, bytes of stdout and of stderr | `R` | ready for its job |
 * | `M` | entrypoint | `H` | the phase that begins: `run` |
 * | `A` | one argument | `O` | stdout |
 * | `E` | one `KEY=value` | `e` | stderr |
 * | `P` | one pre_command | `X` | class NUL line of the exception that ended the program |
 * | `V` | report the last expression | `V` | `repr()` of the last expression |
 * | `T` | a piece of the archive | `Z` | the end, as `name=number` words |
 * | `G` | go | | |
 * | `I`, `C` | a piece of stdin, its end | | |
 */
export const hostFrame = {
  limits: 'L',
  entrypoint: 'M',
  argument: 'A',
  variable: 'E',
  preCommand: 'P',
  evalLastExpr: 'V',
  archive: 'T',
  go: 'G',
  stdin: 'I',
  stdinEnd: 'C',
} as const;

export const agentFrame = {
  ready: 'R',
  phase: 'H',
  stdout: 'O',
  stderr: 'e',
  exception: 'X',
  result: 'V',
  end: 'Z',
} as const;

/** Payloads are cut into pieces of at most this size. */
export const pieceBytesMax = 65_536;

const headerBytes = 5;
const payloadBytesMax = 1 << 20;

/** The agent said something that makes no sense. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export function encodeFrame(type: string, payload: Uint8Array | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const frame = Buffer.allocUnsafe(headerBytes + body.length);
  frame.writeUInt8(type.charCodeAt(0), 0);
  frame.writeUInt32BE(body.length, 1);
  frame.set(body, headerBytes);
  return frame;
}

export interface Frame {
  readonly type: string;
  readonly payload: Buffer;
}

/** Cuts the agent's byte stream into frames. Trusts nothing: a length over 1 MiB is an error. */
export class FrameDecoder {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** @throws ProtocolError */
  *decode(chunk: Buffer): Generator<Frame> {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= headerBytes) {
      const header = this.#peek(headerBytes);
      const size = header.readUInt32BE(1);
      if (size > payloadBytesMax) throw new ProtocolError(`The agent sent a frame of ${size} bytes`);
      if (this.#bytes < headerBytes + size) return;
      const frame = this.#peek(headerBytes + size);
      this.#pieces = frame.length === this.#bytes ? [] : [this.#joined().subarray(frame.length)];
      this.#bytes -= frame.length;
      yield { type: String.fromCharCode(header.readUInt8(0)), payload: frame.subarray(headerBytes) };
    }
  }

  #peek(size: number): Buffer {
    const first = this.#pieces[0];
    return (first !== undefined && first.length >= size ? first : this.#joined()).subarray(0, size);
  }

  #joined(): Buffer {
    const [first] = this.#pieces;
    if (first !== undefined && this.#pieces.length === 1) return first;
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [whole];
    return whole;
  }
}

/** How a job ended, as the agent's `Z` frame has it. */
export interface EndFrame {
  readonly phase: 'setup' | 'run';
  readonly diskFull: boolean;
  /** Undefined when a signal ended the process. */
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly stdoutCut: boolean;
  readonly stderrCut: boolean;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
  readonly oomKilled: boolean;
  /** Whether the agent could read the counters of its cgroup; else cpuMs is an estimate and the rest is 0. */
  readonly counted: boolean;
}

/** @throws ProtocolError */
export function parseEnd(payload: Buffer): EndFrame {
  const words = new Map(
    payload
      .toString('latin1')
      .split(' ')
      .map((word) => word.split('=', 2) as [string, string]),
  );
  const integer = (name: string, max: number): number => {
    const text = words.get(name) ?? '';
    const value = /^-?\d{1,18}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= -1 && value <= max)) throw new ProtocolError(`The agent sent ${name}="${text.slice(0, 40)}"`);
    return value;
  };
  const flag = (name: string): boolean => integer(name, Number.MAX_SAFE_INTEGER) > 0;
  const phase = words.get('phase');
  if (phase !== 'setup' && phase !== 'run') throw new ProtocolError('The agent sent no phase with the end');
  const exitCode = integer('exit_code', 255);
  const signal = integer('signal', 64);
  if (exitCode < 0 === signal <= 0) throw new ProtocolError('The agent sent an end that is neither exit nor signal');
  return {
    phase,
    diskFull: flag('disk_full'),
    exitCode: exitCode < 0 ? undefined : exitCode,
    signal: signal <= 0 ? undefined : signal,
    stdoutCut: flag('stdout_cut'),
    stderrCut: flag('stderr_cut'),
    wallMs: Math.round(Math.max(0, integer('wall_us', Number.MAX_SAFE_INTEGER)) / 1000),
    cpuMs: Math.round(Math.max(0, integer('cpu_us', Number.MAX_SAFE_INTEGER)) / 1000),
    memoryPeakBytes: Math.max(0, integer('peak_bytes', Number.MAX_SAFE_INTEGER)),
    oomKilled: flag('oom_kills'),
    counted: flag('counted'),
  };
}
