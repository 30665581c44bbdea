import { quote, ServiceError } from '@python-executor/contract';
import { blockBytes } from './block.js';
import { entryBytesMax } from './limits.js';

/** What a tar header says, of the fields that count here. */
export interface TarHeader {
  /** Bytes of the name, with the prefix; not checked yet. */
  readonly name: Buffer;
  /** The type flag, e.g. `0`; an old header's NUL is a `0`. */
  readonly type: string;
  readonly mode: number;
  readonly sizeBytes: number;
}

const zero = 0x30;
const seven = 0x37;
const space = 0x20;
const checksumOffset = 148;
const checksumLength = 8;
const prefixOffset = 345;
const prefixLength = 155;

/**
 * Reads a header of 512 bytes: ustar, GNU or the older kind without a magic number.
 *
 * @param position where in the archive it stands, for messages
 * @returns undefined when the block is all zero, which ends an archive
 * @throws ServiceError `archive_corrupt`
 */
export function readHeader(block: Buffer, position: number): TarHeader | undefined {
  const sum = sumOf(block);
  if (sum === 0) return undefined;
  const place = `header at byte ${position}`;
  if (checksumOf(block, sum) !== readNumber(block, checksumOffset, checksumLength, `checksum of the ${place}`)) {
    throw corrupt(`the ${place} has a wrong checksum`);
  }
  const name = readName(block, place);
  const shown = quote(name.toString());
  return {
    name,
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0),
    mode: readNumber(block, 100, 8, `mode of entry ${shown}`),
    sizeBytes: readNumber(block, 124, 12, `size of entry ${shown}`),
  };
}

export function corrupt(reason: string): ServiceError {
  return new ServiceError('archive_corrupt', `Cannot read archive: ${reason}`);
}

function sumOf(block: Buffer): number {
  let sum = 0;
  for (let index = 0; index < blockBytes; index++) sum += block[index] ?? 0;
  return sum;
}

/** The checksum is taken as if its own field were blanks. */
function checksumOf(block: Buffer, sum: number): number {
  let checksum = sum + checksumLength * space;
  for (let index = checksumOffset; index < checksumOffset + checksumLength; index++) checksum -= block[index] ?? 0;
  return checksum;
}

function readName(block: Buffer, place: string): Buffer {
  const name = readText(block, 0, 100);
  switch (block.toString('latin1', 257, 263)) {
    case 'ustar\0': {
      const prefix = readText(block, prefixOffset, prefixLength);
      return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
    }
    // GNU keeps other things where the prefix is; the oldest format has neither.
    case 'ustar ':
    case '\0\0\0\0\0\0':
      return name;
    default:
      throw corrupt(`the ${place} has an unknown magic number`);
  }
}

/** The bytes of a field up to its NUL. Copied, since they outlive the block. */
function readText(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end));
}

/** Octal digits between blanks and NULs, all blank being 0, or GNU's base 256. */
function readNumber(block: Buffer, offset: number, length: number, what: string): number {
  const end = offset + length;
  const first = block[offset] ?? 0;
  let at = offset;
  let value = 0;
  if (first === 0x80) {
    for (at++; at < end; at++) value = value * 256 + (block[at] ?? 0);
  } else {
    while (at < end && isBlank(block[at])) at++;
    for (; at < end && isOctal(block[at]); at++) value = value * 8 + ((block[at] ?? 0) - zero);
    while (at < end && isBlank(block[at])) at++;
  }
  if (at === end && value <= entryBytesMax) return value;
  const field = block.subarray(offset, end);
  const shown = first < 0x80 ? quote(field.toString('latin1')) : `0x${field.toString('hex')}`;
  throw corrupt(`the ${what} is ${shown}, not a number from 0 to ${entryBytesMax}`);
}

function isBlank(byte: number | undefined): boolean {
  return byte === space || byte === 0;
}

function isOctal(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= seven;
}
