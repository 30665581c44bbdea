import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { type Metadata, type Parsed, parseMetadata, quote, ServiceError } from '@python-executor/contract';
import type { FastifyReply } from 'fastify';
import type { Archive } from '../jobs/ports.js';
import { type BodyLimits, receiveBody } from './body.js';
import { JsonText } from './json.js';
import { requireMediaType } from './media.js';
import type { ReceiveArchive } from './ports.js';

export interface UploadLimits extends BodyLimits {
  readonly metadataBytesMax: number;
}

/** The two parts of an upload. The archive belongs to whoever gets it. */
export interface Upload {
  readonly metadata: Metadata;
  readonly archive: Archive;
  readonly warnings: readonly string[];
}

const partsMax = 100;
const warningsMax = 20;
const partHeaderBytesMax = 16 * 1024;
const partHeadersMax = 32;
/** More than the 64 KiB that a socket delivers at once, so that a chunk alone is no reason to pause. */
const bufferedBytesMax = 256 * 1024;

/**
 * Reads a multipart upload: the archive streams through `receiveArchive` while it comes in, metadata is parsed as soon
 * as it is there, and the first fault ends the reading.
 *
 * @throws ServiceError `unsupported_media_type`, `invalid_multipart`, and what {@link receiveBody}, `receiveArchive` and
 * `parseMetadata` throw. No archive is left behind then.
 */
export async function receiveUpload(
  reply: FastifyReply,
  receiveArchive: ReceiveArchive,
  limits: UploadLimits,
): Promise<Upload> {
  const { headers } = reply.request;
  requireMediaType(headers, 'multipart/form-data');
  const parser = createParser(headers['content-type'] ?? '');
  const parts = new Parts(receiveArchive, limits.metadataBytesMax);
  try {
    const parsed = parts.readFrom(parser);
    await receiveBody(reply, limits, (chunk) => (parser.write(chunk) ? undefined : onceDrained(parser)), {
      signal: parts.signal,
    });
    parser.end();
    await parsed;
    return await parts.collect();
  } catch (error) {
    await parts.discard(error);
    throw error;
  }
}

function createParser(contentType: string): BusboyInstance {
  const boundary = /;\s*boundary=(?:"([^"]*)"|([^\s;"]*))/i.exec(contentType);
  const length = (boundary?.[1] ?? boundary?.[2] ?? '').length;
  // RFC 2046 allows 70 characters.
  if (length < 1 || length > 70) {
    throw invalid(`the content type needs a boundary of 1 to 70 characters, got ${quote(contentType)}`);
  }
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      // Every part is read as a stream: some clients send the archive as a plain field, and fields would be decoded.
      isPartAFile: () => true,
      limits: { parts: partsMax, headerPairs: partHeadersMax, headerSize: partHeaderBytesMax },
      highWaterMark: bufferedBytesMax,
      fileHwm: bufferedBytesMax,
    });
  } catch (cause) {
    throw invalid(`the content type ${quote(contentType)} names no boundary`, cause);
  }
}

async function onceDrained(parser: BusboyInstance): Promise<void> {
  await once(parser, 'drain');
}

/** What has come in of an upload so far. */
class Parts {
  readonly #fault = new AbortController();
  readonly #warnings: string[] = [];
  #tar: Readable | undefined;
  #archive: Promise<Archive> | undefined;
  #metadata: Promise<Parsed<Metadata>> | undefined;

  constructor(
    private readonly receiveArchive: ReceiveArchive,
    private readonly metadataBytesMax: number,
  ) {}

  /** Aborts at the first fault of a part, so that nobody reads the rest of the body for nothing. */
  get signal(): AbortSignal {
    return this.#fault.signal;
  }

  /** @returns when the last part has been read to its end; rejects at the first fault */
  readFrom(parser: BusboyInstance): Promise<void> {
    const finished = new Promise<void>((resolve, reject) => {
      this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true });
      parser.on('finish', resolve);
    });
    finished.catch(() => {});
    parser.on('file', (name: string | undefined, stream: Readable) => this.#onPart(name, stream));
    parser.on('partsLimit', () => this.#fail(invalid(`it has more than ${partsMax} parts`)));
    parser.on('error', (cause) => this.#fail(invalid('it ends before its closing boundary', cause)));
    return finished;
  }

  async collect(): Promise<Upload> {
    if (this.#archive === undefined) throw invalid('part "tar" is missing');
    if (this.#metadata === undefined) throw invalid('part "metadata" is missing');
    const metadata = await this.#metadata;
    const archive = await this.#archive;
    return { archive, metadata: metadata.value, warnings: [...metadata.warnings, ...this.#warnings] };
  }

  async discard(reason: unknown): Promise<void> {
    this.#fault.abort(reason);
    this.#tar?.destroy(reason instanceof Error ? reason : undefined);
    await this.#archive?.then(
      (archive) => archive.dispose(),
      () => {},
    );
  }

  #onPart(name: string | undefined, stream: Readable): void {
    // A body that ends early is reported by the parser itself.
    stream.on('error', () => {});
    if (this.signal.aborted) stream.resume();
    else if (name === 'tar' && this.#archive === undefined) this.#onTar(stream);
    else if (name === 'metadata' && this.#metadata === undefined) this.#onMetadata(stream);
    else if (name === 'tar' || name === 'metadata') this.#fail(invalid(`it has two parts ${quote(name)}`));
    else this.#onUnknown(name, stream);
  }

  #onTar(stream: Readable): void {
    this.#tar = stream;
    this.#archive = this.receiveArchive(stream);
    this.#archive.then(() => stream.resume(), this.#fail);
  }

  #onMetadata(stream: Readable): void {
    this.#metadata = readMetadata(stream, this.metadataBytesMax);
    this.#metadata.catch(this.#fail);
  }

  #onUnknown(name: string | undefined, stream: Readable): void {
    stream.resume();
    if (this.#warnings.length < warningsMax) {
      this.#warnings.push(
        name === undefined ? 'A part without a name was ignored' : `Unknown part ${quote(name)} was ignored`,
      );
    }
  }

  readonly #fail = (fault: unknown): void => this.#fault.abort(fault);
}

function readMetadata(stream: Readable, bytesMax: number): Promise<Parsed<Metadata>> {
  const text = new JsonText('metadata', bytesMax, 'invalid_metadata');
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      try {
        text.append(chunk);
      } catch (error) {
        stream.removeAllListeners('data');
        stream.resume();
        reject(error);
      }
    });
    stream.on('end', () => {
      try {
        resolve(parseMetadata(text.end()));
      } catch (error) {
        reject(error);
      }
    });
  });
}

function invalid(reason: string, cause?: unknown): ServiceError {
  return new ServiceError('invalid_multipart', `Cannot read multipart body: ${reason}`, { cause });
}
