import { packTar } from 'modern-tar';

/** A file to send. */
export interface ArchiveFile {
  /** Path inside the archive, parted by `/`, e.g. `src/app.py`. */
  readonly name: string;
  /** Text is sent as UTF-8. */
  readonly content: string | Uint8Array;
  /** Whether the file may be executed. Default false. */
  readonly executable?: boolean;
}

/** A directory to send; those that hold files need none. */
export interface ArchiveDirectory {
  readonly name: string;
  readonly content?: never;
}

export type ArchiveEntry = ArchiveFile | ArchiveDirectory;

/**
 * Packs entries, in their order, into an uncompressed tar. It depends on names, contents and executable bits alone:
 * equal entries give equal bytes.
 *
 * @throws TypeError when a name is empty or holds a NUL
 * @example
 * const tar = await packArchive([{ name: 'main.py', content: "print('hi')" }]);
 */
export async function packArchive(entries: Iterable<ArchiveEntry>): Promise<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const packed = Array.from(entries, (entry) => {
    requireName(entry.name);
    if (entry.content === undefined) {
      return { header: { name: `${entry.name}/`, type: 'directory', size: 0, mode: 0o755, mtime } } as const;
    }
    const body = typeof entry.content === 'string' ? encoder.encode(entry.content) : entry.content;
    const mode = entry.executable ? 0o755 : 0o644;
    return { header: { name: entry.name, size: body.byteLength, mode, mtime }, body } as const;
  });
  return packTar(packed);
}

const mtime = new Date(0);

/** A tar cuts a name at a NUL, so another file would be sent than the one that was asked for. */
function requireName(name: string): void {
  if (name === '' || name.includes('\0')) {
    throw new TypeError(`Cannot send files: ${JSON.stringify(name)} is not a file name`);
  }
}
