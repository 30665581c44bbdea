import { blockBytes, paddingOf } from './block.js';

/** An entry of the canonical archive. Everything else about it is the same for all: owner 1000, time 0. */
export interface CanonicalEntry {
  /** As `normalisePath` writes it. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
  readonly mode: number;
  readonly sizeBytes: number;
}

const nameBytesMax = 100;
const prefixBytesMax = 155;
const slash = 0x2f;

/** What two zero blocks say: the archive ends here. */
export const endOfArchive = Buffer.alloc(2 * blockBytes);

/** The fields that every header has in common. */
const template = Buffer.alloc(blockBytes);
template.write('0001750\0', 108, 'latin1');
template.write('0001750\0', 116, 'latin1');
template.write('00000000000\0', 136, 'latin1');
template.write('ustar\x0000', 257, 'latin1');

/** Encodes the header of an entry: ustar, and before it a pax header when ustar has no room for the path. */
export function encodeHeader(entry: CanonicalEntry): Buffer {
  const path = Buffer.from(entry.kind === 'directory' ? `${entry.path}/` : entry.path);
  const type = entry.kind === 'directory' ? '5' : '0';
  if (path.length <= nameBytesMax) return encodeBlock({ ...entry, type, name: path });
  const cut = findCut(path);
  if (cut !== -1) {
    return encodeBlock({ ...entry, type, name: path.subarray(cut + 1), prefix: path.subarray(0, cut) });
  }
  const record = encodePathRecord(path);
  const placeholder = Buffer.from('PaxHeader');
  return Buffer.concat([
    encodeBlock({ type: 'x', name: placeholder, mode: 0o644, sizeBytes: record.length }),
    record,
    Buffer.alloc(paddingOf(record.length)),
    encodeBlock({ ...entry, type, name: placeholder }),
  ]);
}

interface BlockFields {
  readonly type: string;
  readonly name: Buffer;
  readonly prefix?: Buffer;
  readonly mode: number;
  readonly sizeBytes: number;
}

function encodeBlock({ type, name, prefix, mode, sizeBytes }: BlockFields): Buffer {
  const block = Buffer.from(template);
  name.copy(block, 0);
  block.write(octal(mode, 7), 100, 'latin1');
  block.write(octal(sizeBytes, 11), 124, 'latin1');
  block.write(type, 156, 'latin1');
  prefix?.copy(block, 345);
  let checksum = 8 * 0x20;
  for (const byte of block) checksum += byte;
  block.write(`${octal(checksum, 6)}\0 `, 148, 'latin1');
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** Where a slash leaves a prefix and a name that fit and are not empty, or -1. */
function findCut(path: Buffer): number {
  const cut = path.indexOf(slash, path.length - nameBytesMax - 1);
  return cut > 0 && cut <= prefixBytesMax && cut < path.length - 1 ? cut : -1;
}

function encodePathRecord(path: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(' path='), path, Buffer.from('\n')]);
  // The length counts its own digits.
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
