import type { ServerResponse } from 'node:http';

/**
 * Ends the connection of a client that does not take its answer: nothing of it for the given time. The limit is lifted
 * before Node sets that of an idle connection, so that it never hits a request which follows on the same one.
 */
export function limitStall(response: ServerResponse, stallMs: number): void {
  response.setTimeout(stallMs);
  response.prependOnceListener('finish', () => response.socket?.setTimeout(0));
}
