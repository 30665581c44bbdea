/** A header and what follows it, as wrong as a test wants. */
export interface RawEntry {
  readonly name?: string | Buffer;
  /** One character; `0` is a regular file. */
  readonly type?: string;
  readonly mode?: string;
  readonly uid?: string;
  readonly content?: string | Buffer;
  /** The field as it stands in the header; the size of the content unless given. */
  readonly size?: string | Buffer;
  readonly linkname?: string;
  /** Added to the checksum. */
  readonly checksumFault?: number;
}

const blockBytes = 512;
export const endOfTar = Buffer.alloc(2 * blockBytes);

/** The bytes of a whole tar. */
export function tarOf(...entries: readonly RawEntry[]): Buffer {
  return Buffer.concat([...entries.map(encodeEntry), endOfTar]);
}

/** A tar of these files, as any honest client sends it. */
export function tarOfFiles(files: Readonly<Record<string, string | Buffer>>): Buffer {
  return tarOf(...Object.entries(files).map(([name, content]) => ({ name, content })));
}

export function encodeEntry(entry: RawEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const padding = Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes);
  return Buffer.concat([encodeHeader(entry, content.length), content, padding]);
}

function encodeHeader(entry: RawEntry, contentBytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  const put = (value: string | Buffer, offset: number, bytes: number) =>
    Buffer.from(value).copy(header, offset, 0, bytes);
  put(entry.name ?? '', 0, 100);
  put(entry.mode ?? '0000644', 100, 8);
  put(entry.uid ?? '0000000', 108, 8);
  put('0000000', 116, 8);
  put(entry.size ?? contentBytes.toString(8).padStart(11, '0'), 124, 12);
  put('00000000000', 136, 12);
  put('        ', 148, 8);
  put(entry.type ?? '0', 156, 1);
  put(entry.linkname ?? '', 157, 100);
  put('ustar\x0000', 257, 8);
  const checksum = header.reduce((sum, byte) => sum + byte, entry.checksumFault ?? 0);
  put(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return header;
}

/** A pax extended header with these records, for the entry that comes next. */
export function pax(records: Readonly<Record<string, string>>): RawEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    const bytes = Buffer.byteLength(rest);
    const digits = [1, 2, 3, 4, 5, 6, 7].find((count) => String(bytes + count).length === count) ?? 0;
    return `${bytes + digits}${rest}`;
  });
  return { name: 'PaxHeader', type: 'x', content: lines.join('') };
}
