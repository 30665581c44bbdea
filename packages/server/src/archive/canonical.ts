import { quote, ServiceError } from '@python-executor/contract';
import type { Archive } from '../jobs/ports.js';
import { paddingOf } from './block.js';
import { encodeHeader, endOfArchive } from './encode.js';
import type { ArchiveOptions } from './limits.js';
import { normalisePath } from './path.js';
import type { TarEntry, TarSink } from './reader.js';
import { Spool } from './spool.js';
import { Tree } from './tree.js';

const zeros = Buffer.alloc(512);

/**
 * Checks entries and writes them as a canonical archive: normalised paths, files of mode 0644 or 0755, directories of
 * 0755, owner 1000, time 0. Of a file that comes twice both are written, and the last wins when they are unpacked.
 */
export class CanonicalArchive implements TarSink {
  readonly #options: ArchiveOptions;
  readonly #tree: Tree;
  readonly #spool: Spool;
  #entries = 0;
  #paddingBytes = 0;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.#tree = new Tree(options.entriesMax);
    this.#spool = new Spool(options);
  }

  /** @throws ServiceError `archive_path`, `archive_conflict`, `archive_too_many_entries` or `archive_too_large` */
  begin({ name, kind, executable, sizeBytes }: TarEntry): void {
    if (++this.#entries > this.#options.entriesMax) {
      throw new ServiceError(
        'archive_too_many_entries',
        `Cannot read archive: it has more than ${this.#options.entriesMax} entries`,
      );
    }
    const path = normalisePath(name, this.#options);
    this.#paddingBytes = paddingOf(sizeBytes);
    if (kind === 'file') this.#beginFile(path, name, executable, sizeBytes);
    else if (path !== '') this.#beginDirectory(path);
  }

  /** @throws ServiceError `archive_too_large` */
  write(content: Buffer): void {
    this.#spool.write(content);
    if (this.#spool.sizeBytes > this.#options.bytesMax) throw tooLarge(this.#options.bytesMax);
  }

  end(): void {
    if (this.#paddingBytes > 0) this.write(zeros.subarray(0, this.#paddingBytes));
  }

  /** Whether to wait for {@link flush} before more is written. */
  get full(): boolean {
    return this.#spool.full;
  }

  /** @throws ServiceError `store_unavailable` */
  flush(): Promise<void> {
    return this.#spool.flush();
  }

  /** @throws ServiceError `store_unavailable` or `archive_too_large` */
  async finish(): Promise<Archive> {
    this.write(endOfArchive);
    return await this.#spool.finish(this.#tree.files);
  }

  /** Leaves nothing behind. Idempotent, never throws. */
  discard(): Promise<void> {
    return this.#spool.discard();
  }

  #beginFile(path: string, name: Buffer, executable: boolean, sizeBytes: number): void {
    if (path === '' || name.at(-1) === 0x2f) {
      throw new ServiceError('archive_path', `Cannot read archive: ${quote(name.toString())} is no path of a file`);
    }
    this.#tree.addFile(path);
    this.write(encodeHeader({ path, kind: 'file', mode: executable ? 0o755 : 0o644, sizeBytes }));
  }

  #beginDirectory(path: string): void {
    this.#tree.addDirectory(path);
    this.write(encodeHeader({ path, kind: 'directory', mode: 0o755, sizeBytes: 0 }));
  }
}

export function tooLarge(bytesMax: number): ServiceError {
  return new ServiceError('archive_too_large', `Cannot read archive: it has more than ${bytesMax} bytes`);
}
