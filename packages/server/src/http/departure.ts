import type { FastifyRequest } from 'fastify';
import type { Archive } from '../jobs/ports.js';

/** The client closed the connection before it had its answer. Nobody hears of it, so it is no ServiceError. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';

  constructor() {
    super('The client closed the connection before it had its answer');
  }
}

/** Whether a request failed for no other reason than that its client is gone. */
export function isDeparture(error: unknown): boolean {
  // The latter is what becomes of a result that is sent slice by slice.
  return (
    error instanceof ClientGoneError || (error as { code?: unknown } | null)?.code === 'ERR_STREAM_PREMATURE_CLOSE'
  );
}

/**
 * Does something for the client of a request, with a signal that aborts when this client goes away. The request has no
 * event for it: it is closed as soon as its body is read, and responses that wait behind another one hear of nothing.
 */
export async function whileConnected<Value>(
  request: FastifyRequest,
  act: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const { socket } = request.raw;
  const controller = new AbortController();
  const onClose = () => controller.abort(new ClientGoneError());
  if (socket.destroyed) onClose();
  socket.once('close', onClose);
  try {
    return await act(controller.signal);
  } finally {
    socket.off('close', onClose);
  }
}

/**
 * To be asked before an archive is handed over: for a client that is gone, nothing is begun.
 *
 * @throws the reason of `signal` once it has aborted; the archive is disposed of then
 */
export async function requireConnected(signal: AbortSignal, archive: Archive): Promise<void> {
  if (!signal.aborted) return;
  await archive.dispose();
  throw signal.reason;
}
