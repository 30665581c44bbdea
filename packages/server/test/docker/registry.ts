import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

export interface Registry {
  /** Name of the one image it has. */
  readonly image: string;
  /** Name of an image for which it never answers. */
  readonly silentImage: string;
  /** How often somebody asked for the manifest of its image. */
  readonly manifestRequests: number;
  /** How often somebody asked for anything of the silent image. */
  readonly silentRequests: number;
  close(): Promise<void>;
}

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';

/** A registry on a port of its own with one image, which holds one text file and no interpreter. */
export async function openRegistry(): Promise<Registry> {
  const blobs = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  const add = (type: string, bytes: Buffer) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    blobs.set(digest, { type, bytes });
    return { mediaType: type, size: bytes.length, digest };
  };
  const archive = pack();
  archive.entry({ name: 'hello.txt' }, `Made at ${performance.timeOrigin + performance.now()}`);
  archive.finalize();
  const layer = await buffer(archive);
  const configuration = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: add('application/vnd.docker.container.image.v1+json', Buffer.from(JSON.stringify(configuration))),
    layers: [add('application/vnd.docker.image.rootfs.diff.tar.gzip', gzipSync(layer))],
  };
  const { digest: manifestDigest } = add(manifestType, Buffer.from(JSON.stringify(manifest)));
  const counts = { manifestRequests: 0, silentRequests: 0 };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const [, name, kind, reference = ''] = /^\/v2\/(\w+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
    if (name === 'silent') {
      counts.silentRequests += 1;
      return;
    }
    if (kind === undefined) {
      response.end('{}');
      return;
    }
    if (kind === 'manifests') counts.manifestRequests += 1;
    const digest = kind === 'manifests' && !reference.includes(':') ? manifestDigest : reference;
    const blob = name === 'tiny' ? blobs.get(digest) : undefined;
    if (blob === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
      return;
    }
    const headers = { 'content-type': blob.type, 'content-length': blob.bytes.length, 'docker-content-digest': digest };
    response.writeHead(200, headers);
    response.end(request.method === 'HEAD' ? undefined : blob.bytes);
  }

  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    image: `${host}/tiny:1`,
    silentImage: `${host}/silent:1`,
    get manifestRequests() {
      return counts.manifestRequests;
    },
    get silentRequests() {
      return counts.silentRequests;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
