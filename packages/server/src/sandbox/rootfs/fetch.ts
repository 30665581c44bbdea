import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extract } from 'tar-stream';
import type { ImageReference } from '../docker/image.js';
import { runTool } from './tool.js';

/** What the image is called in the layout that it is fetched into. */
export const fetchedName = 'image';

/**
 * Fetches an image into a directory of OCI's layout.
 *
 * @throws ToolError
 */
export async function fetchImage(
  reference: ImageReference,
  options: {
    readonly from: string | undefined;
    readonly layout: string;
    /** For files of the tool. */
    readonly home: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { from, layout, home, signal } = options;
  const source = from === undefined ? `docker://${reference.text}` : await describeLocal(from);
  // As engines have it: a registry on this machine needs no certificate.
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+)(?::|\/)/.test(reference.repository);
  const trust = from === undefined && isLocal ? ['--src-tls-verify=false'] : [];
  // Layers of an archive are compressed on the way, for the sake of the form alone.
  const flags = ['--quiet', '--remove-signatures', '--dest-compress-level', '1', ...trust];
  await runTool('skopeo', ['copy', ...flags, source, `oci:${layout}:${fetchedName}`], { signal, home });
}

/** How skopeo calls a tar or a directory. Docker's newer tars are both; its own form is the one that has a name for all. */
async function describeLocal(path: string): Promise<string> {
  if ((await stat(path)).isDirectory()) return `oci:${path}`;
  const names = await firstNames(path);
  return names.has('manifest.json') ? `docker-archive:${path}` : `oci-archive:${path}`;
}

/** The names of a tar's entries. */
async function firstNames(path: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const source = createReadStream(path);
  const entries = source.pipe(extract());
  source.on('error', (error) => entries.destroy(error));
  for await (const entry of entries) {
    names.add(entry.header.name);
    entry.resume();
  }
  return names;
}
