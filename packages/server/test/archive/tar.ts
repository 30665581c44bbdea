import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import type { Archive } from '../../dist/jobs/ports.js';

/** A header and what follows it, as wrong as a test wants. */
export interface RawEntry {
  readonly name?: string | Buffer;
  readonly prefix?: string;
  readonly type?: string;
  readonly mode?: string;
  readonly content?: string | Buffer;
  /** The field as it stands in the header; the size of the content unless given. */
  readonly size?: string | Buffer;
  readonly linkname?: string;
  readonly magic?: string;
  /** Added to the checksum. */
  readonly checksumFault?: number;
}

export const endOfTar = Buffer.alloc(1024);

/** The bytes of a whole tar. */
export function tarOf(...entries: readonly RawEntry[]): Buffer {
  return Buffer.concat([...entries.map(encodeEntry), endOfTar]);
}

export function encodeEntry(entry: RawEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const header = Buffer.alloc(512);
  Buffer.from(entry.name ?? '').copy(header, 0, 0, 100);
  header.write(entry.mode ?? '0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  Buffer.from(entry.size ?? `${content.length.toString(8).padStart(11, '0')}\0`).copy(header, 124, 0, 12);
  header.write('00000000000\0', 136, 'latin1');
  header.write(entry.type ?? '0', 156, 'latin1');
  header.write(entry.linkname ?? '', 157);
  header.write(entry.magic ?? 'ustar\x0000', 257, 'latin1');
  header.write(entry.prefix ?? '', 345);
  header.fill(' ', 148, 156);
  const checksum = header.reduce((sum, byte) => sum + byte, entry.checksumFault ?? 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A pax extended header with these records, for the entry that comes next. */
export function pax(records: Readonly<Record<string, string | Buffer>>): RawEntry {
  return { name: 'PaxHeader', type: 'x', content: Buffer.concat(Object.entries(records).map(encodeRecord)) };
}

function encodeRecord([key, value]: [string, string | Buffer]): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  const length = [1, 2, 3, 4, 5, 6, 7].find((digits) => String(rest.length + digits).length === digits) ?? 0;
  return Buffer.concat([Buffer.from(String(rest.length + length)), rest]);
}

/** What another reader of tars finds in an archive. */
export interface FoundEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly owner: string;
  readonly mtime: number;
  readonly content: string;
}

export async function entriesOf(archive: Archive): Promise<FoundEntry[]> {
  const found: FoundEntry[] = [];
  const reader = extract();
  archive.open().pipe(reader);
  for await (const entry of reader) {
    const { name, type, mode, uid, gid, mtime } = entry.header;
    found.push({
      name,
      type: String(type),
      mode: mode ?? 0,
      owner: `${uid}:${gid}`,
      mtime: mtime?.getTime() ?? -1,
      content: (await buffer(entry)).toString('latin1'),
    });
  }
  return found;
}
