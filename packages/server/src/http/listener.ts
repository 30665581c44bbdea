import { createServer, type RequestListener, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ServiceError } from '@python-executor/contract';
import { errorHeaders } from './errors.js';

export interface ListenerLimits {
  readonly headersTimeoutMs: number;
  readonly connectionsMax: number;
}

const headerBytesMax = 16 * 1024;
const keepAliveTimeoutMs = 65_000;
const lingerMs = 1_000;

/**
 * Makes the HTTP/1.1 listener: limits of connections and headers, and answers in our own form to what never becomes a
 * request. The body has a guard of its own, so there is no time limit for a whole request.
 */
export function createListener(handler: RequestListener, limits: ListenerLimits): Server {
  const { headersTimeoutMs, connectionsMax } = limits;
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, Math.ceil(headersTimeoutMs / 4)),
      maxHeaderSize: headerBytesMax,
      // Checked where the answer has a body.
      requireHostHeader: false,
    },
    handler,
  );
  server.maxConnections = connectionsMax;
  // Requests that a client sends ahead wait for the end of its connection all at once.
  server.on('connection', (socket) => socket.setMaxListeners(0));
  // 100 is said where the body is read, so that a client which can be refused before never sends it.
  server.on('checkContinue', handler);
  server.on('checkExpectation', handler);
  server.on('connect', (_request, socket) => {
    refuse(socket as Socket, new ServiceError('bad_request', 'Cannot connect: this service is no proxy'));
  });
  return server;
}

/** Answers what the HTTP parser refuses, and connections whose headers do not come in time. */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET') socket.destroy();
  else if (isAnswerable(socket)) refuse(socket, faultOf(error));
  // What is on its way to the client already still gets there.
  else if (!socket.writableEnded) socket.destroySoon();
}

interface OpenResponse {
  readonly headersSent: boolean;
  readonly req: { readonly complete: boolean };
}

/**
 * An answer would be taken for that of an earlier request while that one is being worked on, and would tear one that has
 * begun. `_httpMessage` is where Node's own handler looks for it too.
 */
function isAnswerable(socket: Socket & { readonly _httpMessage?: OpenResponse | null }): boolean {
  if (!socket.writable) return false;
  const response = socket._httpMessage ?? undefined;
  return response === undefined || (!response.headersSent && !response.req.complete);
}

function refuse(socket: Socket, fault: ServiceError): void {
  const body = JSON.stringify(fault.toBody());
  const headers = { ...errorHeaders(fault), 'content-length': Buffer.byteLength(body), connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status]}\r\n${lines.join('')}\r\n${body}`);
  // Closed at once, the connection would be reset under a client that is still sending.
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  // After CONNECT nobody else listens, and an error that nobody listens to would end the process.
  socket.on('error', () => {}).resume();
}

function faultOf(error: NodeJS.ErrnoException & { readonly reason?: string }): ServiceError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ServiceError('header_too_large', `Cannot read request: its headers exceed ${headerBytesMax} bytes`);
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ServiceError('payload_too_large', 'Cannot read request: its chunk extensions are too long');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ServiceError('request_timeout', 'Cannot read request: its headers did not come in time');
    default:
      return new ServiceError('bad_request', `Cannot read request: ${error.reason ?? 'it is not valid HTTP/1.1'}`);
  }
}
