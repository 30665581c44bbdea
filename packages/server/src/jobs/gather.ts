import { Buffer } from 'node:buffer';
import type { OutputEvent } from '@python-executor/contract';

type Stream = OutputEvent['stream'];

const gatheredBytesMax = 65_536;
/** How long output may wait for more of it: what a follower of a live execution hardly notices. */
const gatherMs = 40;

/** Makes few events of many small pieces of output. The order within a stream stays. */
export class OutputGatherer {
  readonly #pieces: Record<Stream, Uint8Array[]> = { stdout: [], stderr: [] };
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param emit takes an event; the promise that it may return is to be waited for before there is more
   */
  constructor(private readonly emit: (event: OutputEvent) => Promise<void> | undefined) {}

  /** Returns what to wait for before the next call, if anything. */
  add(stream: Stream, bytes: Uint8Array): Promise<void> | undefined {
    this.#pieces[stream].push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= gatheredBytesMax) return this.flush();
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs);
    return undefined;
  }

  /** Emits what was gathered. */
  flush(): Promise<void> | undefined {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    const waits = [this.#emit('stdout'), this.#emit('stderr')].filter((wait) => wait !== undefined);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {});
  }

  #emit(stream: Stream): Promise<void> | undefined {
    const pieces = this.#pieces[stream];
    if (pieces.length === 0) return undefined;
    this.#pieces[stream] = [];
    // A copy of its own: the pieces are views of larger buffers that would stay in memory.
    return this.emit({ type: 'output', stream, bytes: Buffer.concat(pieces) });
  }
}
