import { quote } from '@python-executor/contract';
import { corrupt } from './header.js';
import { entryBytesMax } from './limits.js';

/** What a pax header says of the entry that follows it. */
export interface PaxRecords {
  readonly path?: Buffer;
  readonly sizeBytes?: number;
  /** GNU's sparse files look like regular ones but for their records. */
  readonly sparse: boolean;
}

const spaceByte = 0x20;
const equalsByte = 0x3d;
const newlineByte = 0x0a;

/**
 * Reads the records of a pax header: `LENGTH KEY=VALUE\n`, where the length counts itself. Keys that do not count here
 * are passed over.
 *
 * @throws ServiceError `archive_corrupt`
 */
export function readPaxRecords(bytes: Buffer): PaxRecords {
  let path: Buffer | undefined;
  let size: string | undefined;
  let sparse = false;
  for (let start = 0; start < bytes.length; ) {
    const keyStart = bytes.indexOf(spaceByte, start) + 1;
    const end = start + readLength(bytes, start, keyStart - 1);
    const keyEnd = bytes.indexOf(equalsByte, keyStart);
    if (end > bytes.length || bytes[end - 1] !== newlineByte || keyEnd === -1 || keyEnd >= end - 1) {
      throw corrupt(`a pax record is malformed: ${quote(bytes.toString('utf8', start, start + 80))}`);
    }
    const key = bytes.toString('latin1', keyStart, keyEnd);
    if (key === 'path') path = bytes.subarray(keyEnd + 1, end - 1);
    else if (key === 'size') size = bytes.toString('latin1', keyEnd + 1, end - 1);
    else if (key.startsWith('GNU.sparse.')) sparse = true;
    start = end;
  }
  return {
    // An empty value takes the record back.
    ...(path && path.length > 0 && { path }),
    ...(size && { sizeBytes: readSize(size) }),
    sparse,
  };
}

/** The length of a record, or 0, which no record has. */
function readLength(bytes: Buffer, start: number, end: number): number {
  const digits = bytes.toString('latin1', start, Math.min(end, start + 10));
  return /^\d{1,7}$/.test(digits) ? Number(digits) : 0;
}

function readSize(text: string): number {
  const size = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (size <= entryBytesMax) return size;
  throw corrupt(`a pax header says the size is ${quote(text)}, not a number from 0 to ${entryBytesMax}`);
}
