import { Readable } from 'node:stream';
import type { Metadata } from '@python-executor/contract';
import { readConfig } from '../../dist/config.js';
import type { Archive, ExecutionRequest, Job } from '../../dist/jobs/ports.js';
import { type ResolveOptions, resolveJob } from '../../dist/jobs/resolve.js';

export interface RequestOptions {
  readonly files?: readonly string[];
  readonly mode?: ExecutionRequest['mode'];
  readonly warnings?: readonly string[];
}

/** A parsed request for an archive that holds files of these names. */
export function requestOf(metadata: Metadata = {}, options: RequestOptions = {}): ExecutionRequest {
  const { files = ['main.py'], mode = 'script', warnings = [] } = options;
  return { metadata, archive: archiveOf(files), mode, warnings };
}

function archiveOf(files: readonly string[]): Archive {
  return {
    sizeBytes: 0,
    files,
    open: () => Readable.from([]),
    bytes: new Uint8Array(),
    path: undefined,
    persist: async () => {},
    dispose: async () => {},
  };
}

/** What a server without any variable of its own resolves with, but for these. */
export function resolveOptions(environment: Readonly<Record<string, string>> = {}): ResolveOptions {
  const { limits, images } = readConfig(environment);
  return { limits, defaultImage: images.default, networks: ['none', 'public'], isImageAllowed: () => true };
}

/** The job that comes of a request which asks for nothing but this. */
export function jobOf(metadata: Metadata = {}, options: RequestOptions = {}): Job {
  return resolveJob('exe_1', requestOf(metadata, options), resolveOptions()).job;
}
