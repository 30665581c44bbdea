import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';

/** A request as the service would see it. */
interface Recorded {
  readonly method: string;
  readonly path: string;
  /** The body of `/eval`. */
  readonly json?: unknown;
  /** The `metadata` of an upload. */
  readonly metadata?: Record<string, unknown>;
  /** The entries of an upload's `tar`, in their order. */
  readonly entries?: readonly RecordedEntry[];
  /** Resolves when the client has closed the connection. */
  readonly departed: Promise<unknown>;
}

export interface RecordedEntry {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly mtimeMs: number;
  readonly content: string;
}

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Text is sent as it is, all else as JSON. */
  readonly body: unknown;
}

export type Answerer = (request: Recorded) => Answer | Promise<Answer>;

export interface Recorder {
  readonly url: string;
  readonly requests: readonly Recorded[];
  close(): Promise<void>;
}

/** Starts an HTTP server that plays the service: it records what it is sent and answers what it is told to. */
export async function startRecorder(answerer: Answerer): Promise<Recorder> {
  const requests: Recorded[] = [];
  const server = createServer(async (request, response) => {
    const recorded = await record(request, response);
    requests.push(recorded);
    const { status = 200, headers = {}, body } = await answerer(recorded);
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests, close };
}

async function record(request: IncomingMessage, response: ServerResponse): Promise<Recorded> {
  const type = request.headers['content-type'] ?? '';
  const departed = once(response, 'close');
  const body = await buffer(request);
  const seen = { method: request.method ?? '', path: request.url ?? '', departed };
  if (type.startsWith('application/json')) return { ...seen, json: JSON.parse(body.toString()) };
  if (!type.startsWith('multipart/form-data')) return seen;
  const form = await new Response(body, { headers: { 'content-type': type } }).formData();
  const tar = form.get('tar') as File;
  return {
    ...seen,
    metadata: JSON.parse(form.get('metadata') as string),
    entries: await listEntries(Buffer.from(await tar.arrayBuffer())),
  };
}

/** Reads a tar with another library than the one that wrote it. */
export async function listEntries(tar: Uint8Array): Promise<readonly RecordedEntry[]> {
  const entries: RecordedEntry[] = [];
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    const { name, type, mode, mtime } = entry.header;
    const content = (await buffer(entry)).toString();
    entries.push({ name, type: type ?? '', mode: mode ?? 0, mtimeMs: mtime?.getTime() ?? Number.NaN, content });
  }
  return entries;
}
