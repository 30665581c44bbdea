import { quote } from '@python-executor/contract';
import { blockBytes, paddingOf } from './block.js';
import { refuseCompressed } from './compressed.js';
import { corrupt, readHeader, type TarHeader } from './header.js';
import { readKind } from './kind.js';
import { extensionBytesMax } from './limits.js';
import { type PaxRecords, readPaxRecords } from './pax.js';

/** A file or directory of an archive, as the client names it. */
export interface TarEntry {
  readonly name: Buffer;
  readonly kind: 'file' | 'directory';
  readonly executable: boolean;
  readonly sizeBytes: number;
}

/** Takes the entries of an archive, in order. Every entry is begun and ended; content comes in between. */
export interface TarSink {
  begin(entry: TarEntry): void;
  write(content: Buffer): void;
  end(): void;
}

type State = 'header' | 'content' | 'pax' | 'longName' | 'skip' | 'trailer';

const zeros = Buffer.alloc(64 * 1024);

/**
 * Reads a tar that comes in pieces of any size, and lets nothing pass but files and directories. It holds on to no more
 * than one header or extension at a time.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(blockBytes);
  #state: State = 'header';
  #position = 0;
  /** Bytes of the block, content or extension that have not come yet. */
  #missingBytes = blockBytes;
  #paddingBytes = 0;
  #extension: Buffer = this.#block;
  #entryName = '';
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws ServiceError `archive_corrupt`, `archive_compressed` or `archive_entry_type`, and what the sink throws */
  push(chunk: Buffer): void {
    for (let offset = 0; offset < chunk.length; ) {
      const end = this.#state === 'trailer' ? chunk.length : Math.min(chunk.length, offset + this.#missingBytes);
      const bytes = chunk.subarray(offset, end);
      this.#missingBytes -= bytes.length;
      this.#position += bytes.length;
      this.#take(bytes);
      offset = end;
    }
  }

  /**
   * Says that the upload is complete. The zero blocks at the end of an archive may be missing: some writers forget them.
   *
   * @throws ServiceError `archive_corrupt` or `archive_compressed`
   */
  end(): void {
    if (this.#position === 0) throw corrupt('it is empty, not even the end of a tar');
    if (this.#position < blockBytes) refuseCompressed(this.#block);
    if (this.#state === 'header' && this.#missingBytes < blockBytes) {
      throw corrupt(`it ends after ${this.#position} bytes, in the middle of a header`);
    }
    if (this.#state === 'content' || this.#state === 'skip') {
      throw corrupt(`it ends after ${this.#position} bytes, in the middle of entry ${this.#entryName}`);
    }
    if (this.#state === 'pax' || this.#state === 'longName' || this.#pax || this.#longName) {
      throw corrupt(`it ends after ${this.#position} bytes, with an extended header that belongs to no entry`);
    }
  }

  #take(bytes: Buffer): void {
    switch (this.#state) {
      case 'header':
        this.#takeHeader(bytes);
        return;
      case 'content':
        this.#sink.write(bytes);
        if (this.#missingBytes === 0) this.#endEntry();
        return;
      case 'pax':
      case 'longName':
        bytes.copy(this.#extension, this.#extension.length - this.#missingBytes - bytes.length);
        if (this.#missingBytes === 0) this.#endExtension();
        return;
      case 'skip':
        if (this.#missingBytes === 0) this.#skip(0);
        return;
      case 'trailer':
        this.#takeTrailer(bytes);
        return;
    }
  }

  #takeHeader(bytes: Buffer): void {
    // Most headers arrive whole and are read where they are.
    const whole = bytes.length === blockBytes;
    if (!whole) bytes.copy(this.#block, blockBytes - this.#missingBytes - bytes.length);
    if (this.#missingBytes > 0) return;
    const block = whole ? bytes : this.#block;
    const start = this.#position - blockBytes;
    if (start === 0) refuseCompressed(block);
    const header = readHeader(block, start);
    if (header === undefined) this.#state = 'trailer';
    else this.#begin(header);
  }

  #begin(header: TarHeader): void {
    switch (header.type) {
      case 'x':
        this.#beginExtension(header, 'pax');
        return;
      case 'L':
        this.#beginExtension(header, 'longName');
        return;
      // What they say counts for nothing: global records are mere comments here, and links are refused anyway.
      case 'g':
      case 'K':
        this.#entryName = quote(header.name.toString());
        this.#refuseLongExtension(header);
        this.#skip(header.sizeBytes + paddingOf(header.sizeBytes));
        return;
      default:
        this.#beginEntry(header);
    }
  }

  #beginExtension(header: TarHeader, state: 'pax' | 'longName'): void {
    this.#refuseLongExtension(header);
    this.#extension = Buffer.allocUnsafe(header.sizeBytes);
    this.#state = state;
    this.#missingBytes = header.sizeBytes;
    this.#paddingBytes = paddingOf(header.sizeBytes);
    if (header.sizeBytes === 0) this.#endExtension();
  }

  #refuseLongExtension({ sizeBytes }: TarHeader): void {
    if (sizeBytes <= extensionBytesMax) return;
    throw corrupt(`an extended header has ${sizeBytes} bytes, more than ${extensionBytesMax}`);
  }

  #endExtension(): void {
    if (this.#state === 'pax') {
      this.#pax = readPaxRecords(this.#extension);
    } else {
      const end = this.#extension.indexOf(0);
      this.#longName = end === -1 ? this.#extension : this.#extension.subarray(0, end);
    }
    this.#extension = this.#block;
    this.#skip(this.#paddingBytes);
  }

  #beginEntry(header: TarHeader): void {
    const name = this.#pax?.path ?? this.#longName ?? header.name;
    const sizeBytes = this.#pax?.sizeBytes ?? header.sizeBytes;
    const kind = readKind(this.#pax?.sparse ? 'S' : header.type, name);
    this.#pax = undefined;
    this.#longName = undefined;
    this.#entryName = quote(name.toString());
    if (kind === 'directory' && sizeBytes > 0) {
      throw corrupt(`the directory ${this.#entryName} has a size of ${sizeBytes} bytes`);
    }
    this.#sink.begin({ name, kind, executable: (header.mode & 0o111) !== 0, sizeBytes });
    this.#state = 'content';
    this.#missingBytes = sizeBytes;
    this.#paddingBytes = paddingOf(sizeBytes);
    if (sizeBytes === 0) this.#endEntry();
  }

  #endEntry(): void {
    this.#sink.end();
    this.#skip(this.#paddingBytes);
  }

  #skip(bytes: number): void {
    this.#state = bytes > 0 ? 'skip' : 'header';
    this.#missingBytes = bytes > 0 ? bytes : blockBytes;
  }

  #takeTrailer(bytes: Buffer): void {
    for (let offset = 0; offset < bytes.length; offset += zeros.length) {
      const part = bytes.subarray(offset, offset + zeros.length);
      if (!part.equals(zeros.subarray(0, part.length))) {
        throw corrupt(`after its end, before byte ${this.#position}, there is something else than zeros`);
      }
    }
  }
}
