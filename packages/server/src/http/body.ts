import type { IncomingMessage } from 'node:http';
import { ServiceError } from '@python-executor/contract';
import type { FastifyReply } from 'fastify';
import { ClientGoneError } from './departure.js';
import { Pace, type PaceLimits } from './pace.js';

export interface BodyLimits extends PaceLimits {
  readonly bodyBytesMax: number;
}

/** Takes the next bytes of a body; a promise means that it has enough until the promise is fulfilled. */
export type TakeBytes = (chunk: Buffer) => Promise<void> | undefined;

/**
 * Reads the body of a request to its end and hands it on, chunk by chunk.
 *
 * @throws ServiceError `payload_too_large`, when the length says so before anything is read; `request_timeout` when the
 * client is silent or too slow; ClientGoneError; the reason of `signal`, and whatever `take` throws.
 */
export async function receiveBody(
  reply: FastifyReply,
  limits: BodyLimits,
  take: TakeBytes,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const request = reply.request.raw;
  refuseKnownLength(request, limits.bodyBytesMax);
  if (expectsContinue(request)) reply.raw.writeContinue();
  const reading = new BodyReading(request, limits, take);
  const onAbort = () => reading.fail(options.signal?.reason);
  try {
    options.signal?.addEventListener('abort', onAbort);
    await reading.finished;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    reading.stop();
  }
}

class BodyReading {
  readonly finished: Promise<void>;
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  readonly #take: TakeBytes;
  readonly #pace: Pace;
  #bytes = 0;
  #stopped = false;
  #finish!: () => void;
  fail!: (error: unknown) => void;

  constructor(request: IncomingMessage, limits: BodyLimits, take: TakeBytes) {
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.fail = reject;
    });
    this.#request = request;
    this.#limits = limits;
    this.#take = take;
    this.#pace = new Pace(limits, this.#onTooSlow);
    if (request.destroyed) this.#onClose();
    request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose);
    this.#pace.wait();
  }

  /** Leaves what is still unread to whoever answers the request. */
  stop(): void {
    this.#stopped = true;
    this.#pace.stop();
    this.#request
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('close', this.#onClose)
      .off('error', this.#onClose)
      .pause();
  }

  readonly #onEnd = (): void => {
    this.#request.off('close', this.#onClose);
    this.#finish();
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    this.#pace.receive(chunk.length);
    if (this.#bytes > this.#limits.bodyBytesMax) {
      this.fail(tooLarge('request', 'its body', this.#limits.bodyBytesMax));
      return;
    }
    try {
      const busy = this.#take(chunk);
      if (busy === undefined) this.#pace.wait();
      else this.#resumeAfter(busy);
    } catch (error) {
      this.fail(error);
    }
  };

  #resumeAfter(busy: Promise<void>): void {
    this.#request.pause();
    busy.then(() => {
      if (this.#stopped) return;
      this.#pace.wait();
      this.#request.resume();
    }, this.fail);
  }

  readonly #onClose = (): void => this.fail(new ClientGoneError());

  readonly #onTooSlow = (): void => {
    const { bodyIdleTimeoutMs, bodyBytesPerSecondMin } = this.#limits;
    const rule = `it must not pause for ${bodyIdleTimeoutMs} ms or stay below ${bodyBytesPerSecondMin} bytes per second`;
    this.fail(new ServiceError('request_timeout', `Cannot read request: its body comes too slowly, ${rule}`));
  };
}

/** A client of HTTP/1.0 would take an interim answer for the final one. */
function expectsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect?.toLowerCase() === '100-continue' && httpVersion === '1.1';
}

function refuseKnownLength(request: IncomingMessage, bytesMax: number): void {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > bytesMax) throw tooLarge('request', `its body of ${length} bytes`, bytesMax);
}

/** `what` of `name` is more than anybody may send. */
export function tooLarge(name: string, what: string, bytesMax: number): ServiceError {
  return new ServiceError('payload_too_large', `Cannot read ${name}: ${what} exceeds the limit of ${bytesMax} bytes`);
}
