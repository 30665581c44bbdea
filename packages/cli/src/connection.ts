import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { PythonExecutorClient } from '@python-executor/client';

/** A client that waits as long as the service takes. */
export function connect(serverUrl: string): PythonExecutorClient {
  return new PythonExecutorClient({ baseUrl: serverUrl, fetch: patientFetch });
}

const keepAliveDelayMs = 60_000;

/**
 * fetch, but for one thing: that of Node gives up after 300 s without an answer, and cannot be told not to, while a
 * program may run for an hour.
 */
const patientFetch: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  const body = Buffer.from(await request.arrayBuffer());
  // Loaded when it is needed: TLS takes longer to load than all the rest.
  const http = await import(request.url.startsWith('https:') ? 'node:https' : 'node:http');
  const outgoing: ClientRequest = http.request(request.url, {
    method: request.method,
    headers: Object.fromEntries(request.headers),
    signal: request.signal,
  });
  // A server that vanishes without a word is noticed all the same.
  outgoing.setSocketKeepAlive(true, keepAliveDelayMs);
  // The answer may come before the upload is through, which then fails, and does not matter any more.
  outgoing.on('error', () => {});
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.end(body);
  const [incoming] = await answered;
  return responseOf(incoming);
};

function responseOf(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value));
  return new Response(Readable.toWeb(incoming) as ReadableStream<Uint8Array>, {
    status: incoming.statusCode ?? 0,
    statusText: incoming.statusMessage ?? '',
    headers,
  });
}
