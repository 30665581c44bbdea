import { Readable } from 'node:stream';

export interface Demultiplexed {
  readonly stdout: Readable;
  readonly stderr: Readable;
}

const headerBytes = 8;
/** Engines send chunks of 32 KiB. A longer one means that we have lost our place in the stream. */
const payloadBytesMax = 16 * 1024 * 1024;
const bufferBytesMax = 256 * 1024;

/**
 * Takes a multiplexed stream of the engine apart: each payload follows a header of one byte for the stream (1 or 2),
 * three of zero and four for its length. Payloads are passed on as they come and never put together, so memory is the
 * same whatever lengths are announced. When either side is full the source is paused until it is read again: both must
 * be read. Neither ever fails: both end when the source ends, breaks, or makes no sense.
 */
export function demux(source: Readable): Demultiplexed {
  const full = new Set<Readable>();
  const read = (side: Readable) => {
    full.delete(side);
    if (full.size === 0) source.resume();
  };
  const sides = {
    stdout: openSide(read),
    stderr: openSide(read),
  };
  const parser = new FrameParser();

  let finished = false;
  const finish = () => {
    if (finished) return;
    finished = true;
    for (const side of [sides.stdout, sides.stderr]) side.push(null);
  };
  source.on('data', (chunk: Buffer) => {
    try {
      for (const [name, payload] of parser.feed(chunk)) {
        const side = sides[name];
        // Whoever destroyed one side wants no more of it, and must not hold up the other.
        if (!side.destroyed && !side.push(payload)) full.add(side);
      }
    } catch {
      source.destroy();
    }
    if (full.size > 0) source.pause();
  });
  source.once('end', finish);
  source.once('close', finish);
  return sides;
}

function openSide(read: (side: Readable) => void): Readable {
  return new Readable({
    highWaterMark: bufferBytesMax,
    read() {
      read(this);
    },
    destroy(error, callback) {
      read(this);
      callback(error);
    },
  });
}

type Part = readonly [side: keyof Demultiplexed, payload: Buffer];

class FrameParser {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #payloadLeft = 0;
  #side: keyof Demultiplexed = 'stdout';

  /** @throws RangeError on a header that no engine sends */
  *feed(chunk: Buffer): Generator<Part> {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#payloadLeft > 0) {
        const payload = chunk.subarray(offset, offset + this.#payloadLeft);
        offset += payload.length;
        this.#payloadLeft -= payload.length;
        yield [this.#side, payload];
        continue;
      }
      const copied = chunk.copy(this.#header, this.#headerFilled, offset);
      offset += copied;
      this.#headerFilled += copied;
      if (this.#headerFilled === headerBytes) this.#begin();
    }
  }

  #begin(): void {
    const word = this.#header.readUInt32BE(0);
    const length = this.#header.readUInt32BE(4);
    if (word !== 0x01000000 && word !== 0x02000000) throw new RangeError(`Unknown stream ${word.toString(16)}`);
    if (length > payloadBytesMax) throw new RangeError(`Payload of ${length} bytes`);
    this.#side = word === 0x01000000 ? 'stdout' : 'stderr';
    this.#payloadLeft = length;
    this.#headerFilled = 0;
  }
}
