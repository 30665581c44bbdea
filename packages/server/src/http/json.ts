import { isUtf8 } from 'node:buffer';
import { type ErrorCode, ServiceError } from '@python-executor/contract';
import { tooLarge } from './body.js';

/** More than any honest request holds; each takes a hundred times its two bytes once it is parsed. */
const valuesMax = 100_000;

const quoteByte = 0x22;
const backslashByte = 0x5c;
const separatorBytes: ReadonlySet<number> = new Set(Buffer.from(',[{'));

/**
 * Collects the text of a JSON document that comes in pieces, and refuses what would be expensive to parse.
 *
 * @throws ServiceError `payload_too_large`; the given code when the text is not UTF-8 or holds too many values
 */
export class JsonText {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** @param name what the document is called in messages, e.g. `metadata` */
  constructor(
    private readonly name: string,
    private readonly bytesMax: number,
    private readonly code: ErrorCode,
  ) {}

  append(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.bytesMax) throw tooLarge(this.name, 'it', this.bytesMax);
    this.#chunks.push(chunk);
  }

  end(): string {
    const bytes = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks.length = 0;
    if (!isUtf8(bytes)) throw this.#fault('it is not valid UTF-8');
    if (holdsTooMuch(bytes)) throw this.#fault(`it holds more than ${valuesMax} values`);
    return bytes.toString('utf8', startsWithByteOrderMark(bytes) ? 3 : 0);
  }

  #fault(reason: string): ServiceError {
    return new ServiceError(this.code, `Cannot read ${this.name}: ${reason}`);
  }
}

/** Counts what begins or separates values outside of strings, without parsing anything. */
function holdsTooMuch(bytes: Buffer): boolean {
  if (bytes.length <= valuesMax) return false;
  let values = 0;
  let inString = false;
  for (let at = 0; at < bytes.length && values <= valuesMax; at += 1) {
    const byte = bytes[at] as number;
    if (byte === quoteByte) inString = !inString;
    else if (inString) at += byte === backslashByte ? 1 : 0;
    else if (separatorBytes.has(byte)) values += 1;
  }
  return values > valuesMax;
}

function startsWithByteOrderMark(bytes: Buffer): boolean {
  return bytes.length >= 3 && bytes.readUIntBE(0, 3) === 0xefbbbf;
}
