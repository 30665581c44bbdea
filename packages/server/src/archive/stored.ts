import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { ServiceError } from '@python-executor/contract';
import type { Archive } from '../jobs/ports.js';

/** A canonical archive that lies in memory. */
export function archiveInMemory(bytes: Uint8Array, files: readonly string[]): Archive {
  return new MemoryArchive(bytes, files);
}

/** A canonical archive that lies in a spool file of ours, which belongs to it from now on. */
export function archiveInFile(path: string, sizeBytes: number, files: readonly string[]): Archive {
  return new FileArchive(path, sizeBytes, files);
}

class MemoryArchive implements Archive {
  readonly path = undefined;
  readonly sizeBytes: number;
  #bytes: Uint8Array | undefined;

  constructor(
    bytes: Uint8Array,
    readonly files: readonly string[],
  ) {
    this.sizeBytes = bytes.length;
    this.#bytes = bytes;
  }

  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  open(): Readable {
    const bytes = this.#bytes;
    if (bytes === undefined) throw new Error('Cannot open archive: it was disposed of');
    return new Readable({
      read() {
        this.push(bytes);
        this.push(null);
      },
    });
  }

  async persist(): Promise<void> {}

  async dispose(): Promise<void> {
    this.#bytes = undefined;
  }
}

class FileArchive implements Archive {
  readonly bytes = undefined;

  constructor(
    readonly path: string,
    readonly sizeBytes: number,
    readonly files: readonly string[],
  ) {}

  open(): Readable {
    return createReadStream(this.path);
  }

  async persist(): Promise<void> {
    try {
      await sync(this.path);
      // The name is durable only when the directory is.
      await sync(dirname(this.path));
    } catch (cause) {
      throw new ServiceError('store_unavailable', `Cannot write archive to disk: ${reasonOf(cause)}`, { cause });
    }
  }

  async dispose(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The code alone: messages of the file system name paths of the server, which are no business of clients. */
export function reasonOf(cause: unknown): string {
  return String((cause as NodeJS.ErrnoException | null)?.code ?? 'unknown reason');
}
