import type { Readable } from 'node:stream';
import type { ServiceError } from '@python-executor/contract';
import type { Archive } from '../jobs/ports.js';
import { CanonicalArchive, tooLarge } from './canonical.js';
import { corrupt } from './header.js';
import type { ArchiveOptions } from './limits.js';
import { TarReader } from './reader.js';

/**
 * Reads an uncompressed tar while it comes in and writes a canonical archive of its files and directories. Nothing of
 * the client's bytes but the contents of files gets into it.
 *
 * After a refusal the source is left paused where it was: whoever owns it drains or destroys it. Destroying it is also
 * how to cancel.
 *
 * @throws ServiceError `archive_corrupt`, `archive_compressed`, `archive_entry_type`, `archive_path`,
 * `archive_conflict`, `archive_too_many_entries`, `archive_too_large` or `store_unavailable`; what the source was
 * destroyed with. Nothing is left behind then.
 */
export function receiveArchive(source: Readable, options: ArchiveOptions): Promise<Archive> {
  return new Promise((resolve, reject) => {
    new Receiver(source, options, resolve, reject).start();
  });
}

/** Listens to the stream directly: for the usual archive of a few lines, a pipeline would cost more than the work. */
class Receiver {
  readonly #archive: CanonicalArchive;
  readonly #reader: TarReader;
  #receivedBytes = 0;
  #ended = false;
  #failed = false;

  constructor(
    private readonly source: Readable,
    private readonly options: ArchiveOptions,
    private readonly resolve: (archive: Archive) => void,
    private readonly reject: (reason: unknown) => void,
  ) {
    this.#archive = new CanonicalArchive(options);
    this.#reader = new TarReader(this.#archive);
  }

  start(): void {
    const { source } = this;
    // Stays for good: an error that nobody listens to would end the process.
    source.on('error', this.#onBreak);
    source.on('close', this.#onBreak);
    if (source.destroyed || source.readableEnded) {
      this.#fail(source.errored ?? endedEarly());
      return;
    }
    source.on('end', this.#onEnd);
    source.on('data', this.#onData);
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#receivedBytes += chunk.length;
      if (this.#receivedBytes > this.options.bytesMax) throw tooLarge(this.options.bytesMax);
      this.#reader.push(chunk);
      if (this.#archive.full) void this.#flush();
    } catch (error) {
      this.#fail(error);
    }
  };

  readonly #onEnd = async (): Promise<void> => {
    this.#ended = true;
    try {
      this.#reader.end();
      this.resolve(await this.#archive.finish());
    } catch (error) {
      this.#fail(error);
    }
  };

  /** What breaks after its end is no matter of the archive, which is complete then. */
  readonly #onBreak = (error?: Error): void => {
    if (!this.#ended) this.#fail(error ?? endedEarly());
  };

  async #flush(): Promise<void> {
    this.source.pause();
    try {
      await this.#archive.flush();
      if (!this.#failed) this.source.resume();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first cause wins. */
  #fail(reason: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.source.off('data', this.#onData);
    this.source.off('end', this.#onEnd);
    this.source.pause();
    void this.#archive.discard().then(() => this.reject(reason));
  }
}

function endedEarly(): ServiceError {
  return corrupt('the upload ended early');
}
