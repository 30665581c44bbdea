import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchedName } from './fetch.js';
import type { UserRange } from './root.js';
import { runTool, ToolError } from './tool.js';

export interface Unpacked {
  /** Digest of the manifest. */
  readonly digest: string;
  /** The variables that the image sets, as `KEY=value`. */
  readonly environment: readonly string[];
}

/**
 * Unpacks the image of a layout: its root file system is in `rootfs` below the target then. Files of user n belong to
 * user n of the sandboxes.
 *
 * @throws ToolError
 */
export async function unpackImage(
  layout: string,
  options: {
    readonly target: string;
    readonly users: UserRange;
    readonly home: string;
    readonly signal: AbortSignal;
  },
): Promise<Unpacked> {
  const { target, users, home, signal } = options;
  const map = `0:${users.first}:${users.count}`;
  const image = `${layout}:${fetchedName}`;
  await runTool('umoci', ['unpack', '--uid-map', map, '--gid-map', map, '--image', image, target], { signal, home });
  const [manifest] = (await readJson<Index>(join(layout, 'index.json'))).manifests;
  if (manifest === undefined) throw new ToolError('it has no manifest');
  const { config } = await readBlob<Manifest>(layout, manifest.digest);
  const { config: settings } = await readBlob<Configuration>(layout, config.digest);
  const environment = (settings?.Env ?? []).filter((entry) => /^[^=\0]+=[^\0]*$/.test(entry));
  return { digest: manifest.digest, environment };
}

interface Index {
  readonly manifests: readonly { readonly digest: string }[];
}

interface Manifest {
  readonly config: { readonly digest: string };
}

interface Configuration {
  readonly config?: { readonly Env?: readonly string[] | null };
}

async function readBlob<Content>(layout: string, digest: string): Promise<Content> {
  const [, algorithm = '', hash = ''] = /^([a-z0-9]+):([a-f0-9]+)$/.exec(digest) ?? [];
  if (hash === '') throw new ToolError(`it has a digest ${JSON.stringify(digest.slice(0, 100))}`);
  return await readJson<Content>(join(layout, 'blobs', algorithm, hash));
}

async function readJson<Content>(path: string): Promise<Content> {
  return JSON.parse(await readFile(path, 'utf8')) as Content;
}
