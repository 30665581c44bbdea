import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** As much of a body as is read for nothing, to keep the connection. */
const forgottenBytesMax = 64 * 1024;
const lingerMs = 5_000;
/** A client that has been too slow has had its time. */
const lingerAfterTimeoutMs = 1_000;
const silenceMs = 1_000;

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string;
}

/** Whether the client has more to send than is worth reading for nothing. */
export function hasLongUnreadBody(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const { headers } = request;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > forgottenBytesMax;
}

/**
 * Answers a request whose body nobody will read, and closes the connection a little later: a connection that is closed
 * while the client still sends is reset, and the client may never see its answer. So the answer goes out whole, and what
 * comes in is thrown away until the client has understood, for a few seconds at most.
 */
export function answerAndClose(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
    connection: 'close',
  });
  response.write(answer.body);

  const close = () => {
    clearTimeout(deadline);
    clearTimeout(silence);
    request.off('data', onData).off('end', close).off('close', close);
    response.end();
  };
  const onData = () => void silence.refresh();
  const deadline = setTimeout(close, answer.status === 408 ? lingerAfterTimeoutMs : lingerMs);
  const silence = setTimeout(close, silenceMs);
  request.on('data', onData).on('end', close).on('close', close).resume();
}
