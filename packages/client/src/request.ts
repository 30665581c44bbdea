import type { Metadata } from '@python-executor/contract';
import { packArchive } from './archive.js';

/** Contents by path inside the archive; text is sent as UTF-8. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

interface RequestMetadata {
  /** How to run it. Without an entrypoint the service takes `main.py`, then `__main__.py`, then the first `.py`. */
  readonly metadata?: Metadata | undefined;
}

interface FilesRequest extends RequestMetadata {
  readonly files: Files;
  readonly tar?: never;
}

interface TarRequest extends RequestMetadata {
  /** An uncompressed tar. */
  readonly tar: Uint8Array | Blob;
  readonly files?: never;
}

/** What to run: either `files` or a `tar`, and how. */
export type ExecutionRequest = FilesRequest | TarRequest;

/** @throws TypeError when the request has neither files nor a tar, or both */
export async function toForm(request: ExecutionRequest): Promise<FormData> {
  const form = new FormData();
  form.append('metadata', JSON.stringify(request.metadata ?? {}));
  form.append('tar', await tarOf(request), 'code.tar');
  return form;
}

async function tarOf({ files, tar }: ExecutionRequest): Promise<Blob> {
  if ((files === undefined) === (tar === undefined)) {
    throw new TypeError('Cannot execute: a request needs either files or tar');
  }
  if (tar instanceof Blob) return tar;
  const bytes = tar ?? (await packArchive(Object.entries(files).map(([name, content]) => ({ name, content }))));
  // The cast excludes shared memory, which a Blob refuses when it is made.
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/x-tar' });
}
