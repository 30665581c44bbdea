import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError } from '@python-executor/contract';
import type { Archive } from '../jobs/ports.js';
import { archiveInFile, archiveInMemory, reasonOf } from './stored.js';

export interface SpoolOptions {
  readonly memoryBytesMax: number;
  readonly spoolDir: string;
}

/** Most archives are a file of a few lines; others get larger buffers as they grow, so that writes are few. */
const bufferBytesMin = 4 * 1024;
const bufferBytesMax = 256 * 1024;
const pendingBytesMax = bufferBytesMax;

/**
 * Collects bytes in memory, and in a file of its own once they are too many. `write` copies, so that small pieces do not
 * keep alive the large buffers that they were cut from.
 */
export class Spool {
  readonly #options: SpoolOptions;
  /** All but the last are full. */
  #buffers: Buffer[] = [];
  #freeBytes = 0;
  #sizeBytes = 0;
  #flushedBytes = 0;
  #file: FileHandle | undefined;
  #path: string | undefined;
  #flushing: Promise<void> | undefined;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether there is so much to be written that whoever writes should wait for {@link flush}. */
  get full(): boolean {
    return this.#mustSpill && this.#sizeBytes - this.#flushedBytes >= pendingBytesMax;
  }

  write(bytes: Buffer): void {
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#freeBytes === 0) this.#addBuffer();
      const buffer = this.#buffers.at(-1) as Buffer;
      const copied = bytes.copy(buffer, buffer.length - this.#freeBytes, offset);
      this.#freeBytes -= copied;
      this.#sizeBytes += copied;
      offset += copied;
    }
  }

  /**
   * Writes to the file what is in memory. One at a time.
   *
   * @throws ServiceError `store_unavailable`
   */
  flush(): Promise<void> {
    this.#flushing = this.#flush();
    return this.#flushing;
  }

  /**
   * Ends the writing.
   *
   * @throws ServiceError `store_unavailable`
   */
  async finish(files: readonly string[]): Promise<Archive> {
    if (!this.#mustSpill) return archiveInMemory(this.#takeBytes(), files);
    await this.#flushing;
    await this.flush();
    await this.#close();
    return archiveInFile(this.#path as string, this.#sizeBytes, files);
  }

  /** Forgets everything and removes the file. Idempotent, never throws. */
  async discard(): Promise<void> {
    // Until a write that is under way ends, the file could come to be.
    await this.#flushing?.catch(() => {});
    this.#buffers = [];
    await this.#close().catch(() => {});
    if (this.#path !== undefined) await rm(this.#path, { force: true }).catch(() => {});
  }

  get #mustSpill(): boolean {
    return this.#sizeBytes > this.#options.memoryBytesMax;
  }

  #addBuffer(): void {
    const size = Math.min(Math.max(this.#sizeBytes, bufferBytesMin), bufferBytesMax);
    this.#buffers.push(Buffer.allocUnsafe(size));
    this.#freeBytes = size;
  }

  #takeBuffers(): Buffer[] {
    const buffers = this.#buffers;
    const last = buffers.pop();
    if (last !== undefined) buffers.push(last.subarray(0, last.length - this.#freeBytes));
    this.#buffers = [];
    this.#freeBytes = 0;
    return buffers;
  }

  #takeBytes(): Buffer {
    const buffers = this.#takeBuffers();
    return buffers.length === 1 ? (buffers[0] as Buffer) : Buffer.concat(buffers);
  }

  async #flush(): Promise<void> {
    const buffers = this.#takeBuffers();
    this.#flushedBytes = this.#sizeBytes;
    try {
      if (this.#file === undefined) {
        this.#path = join(this.#options.spoolDir, `${randomUUID()}.tar`);
        this.#file = await open(this.#path, 'wx', 0o600);
      }
      // Other than write(), this goes on where the last one ended until everything is written.
      for (const buffer of buffers) await this.#file.writeFile(buffer);
    } catch (cause) {
      throw new ServiceError('store_unavailable', `Cannot spool archive: ${reasonOf(cause)}`, { cause });
    }
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
