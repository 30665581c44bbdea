import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import { SandboxError } from '../../jobs/ports.js';
import { attach } from './attach.js';

/** Where an engine listens, in the terms of `http.request`. */
export type Address = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** The engine refused a request. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal';

  constructor(
    /** The status of the HTTP answer. */
    readonly status: number,
    /** The engine's own words, as one short line. */
    readonly reason: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(reason, options);
  }
}

/** A connection to a Docker engine on which every call has an end. */
export interface Engine {
  /** For calls that answer at once. Only ever used inside {@link call}. */
  readonly docker: Docker;
  /** For answers that are streams, which last as long as they must. */
  readonly streams: Docker;
  /**
   * Makes one call.
   *
   * @param action what cannot be done if the call fails, e.g. `create container`
   * @throws EngineRefusal when the engine answers with an error, SandboxError `engine_unavailable` when it does not
   * answer in time
   */
  call<Value>(
    action: string,
    request: () => Promise<Value>,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<Value>;
  /** Attaches to stdin, stdout and stderr of a container. The connection is raw and multiplexed; see demux.ts. */
  attach(containerId: string): Promise<Duplex>;
  close(): void;
}

export interface EngineOptions {
  /** Path of a socket, or `unix://…`, `tcp://host:port`, `http://host:port`. */
  readonly socket: string;
  /** How long the engine may take to answer any call, ms. */
  readonly callTimeoutMs: number;
}

export function connectEngine(options: EngineOptions): Engine {
  const address = parseAddress(options.socket);
  // Kept connections save a round trip a call. They are idle ones only: nothing waits for another call to end.
  const agent = new TerseAgent({ keepAlive: true });
  const docker = createClient(address, { agent, timeoutMs: options.callTimeoutMs });
  const streams = createClient(address, { agent, timeoutMs: undefined });

  async function call<Value>(
    action: string,
    request: () => Promise<Value>,
    { timeoutMs = options.callTimeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Value> {
    signal?.throwIfAborted();
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      return await raceAbort(request(), signal === undefined ? [deadline] : [deadline, signal]);
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.aborted) throw unavailable(action, options.socket, `no answer within ${timeoutMs} ms`, error);
      throw toEngineError(action, options.socket, error);
    }
  }

  return {
    docker,
    streams,
    call,
    attach: (containerId) =>
      call('attach to container', () =>
        attach({ ...address, agent }, { containerId, timeoutMs: options.callTimeoutMs }),
      ),
    close: () => agent.destroy(),
  };
}

/**
 * The client library describes the options of every request for its debug log, whether there is one or not, and with
 * them the agent, its sockets and all that these hold: many times the work of the request itself.
 */
class TerseAgent extends Agent {
  [inspect.custom](): string {
    return 'Agent';
  }
}

/**
 * Waits for `work`, but no longer than until one of the signals aborts. The work itself goes on.
 *
 * @throws the abort reason
 */
export async function raceAbort<Value>(work: Promise<Value>, signals: readonly AbortSignal[]): Promise<Value> {
  const { promise, reject } = withReject();
  const listeners = signals.map((signal) => ({ signal, onAbort: () => reject(signal.reason) }));
  for (const { signal, onAbort } of listeners) {
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  }
  try {
    return await Promise.race([work, promise]);
  } finally {
    for (const { signal, onAbort } of listeners) signal.removeEventListener('abort', onAbort);
  }
}

function withReject(): { readonly promise: Promise<never>; readonly reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_resolve, rejectPromise) => {
    reject = rejectPromise;
  });
  // It may reject when nobody waits any more.
  promise.catch(() => {});
  return { promise, reject };
}

function parseAddress(socket: string): Address {
  if (!socket.includes('://')) return { socketPath: socket };
  const url = new URL(socket);
  if (url.protocol === 'unix:') return { socketPath: url.pathname };
  if (url.protocol === 'tcp:' || url.protocol === 'http:') {
    return { host: url.hostname, port: Number(url.port || '2375') };
  }
  throw new TypeError(
    `Cannot connect to engine: the address ${JSON.stringify(socket)} is neither a path nor unix, tcp or http`,
  );
}

/** Every setting is given, because the client would read those that are absent from `DOCKER_*` variables. */
function createClient(
  address: Address,
  options: { readonly agent: Agent; readonly timeoutMs: number | undefined },
): Docker {
  return new Docker({
    socketPath: undefined,
    host: undefined,
    port: undefined,
    ...address,
    protocol: 'http',
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: options.timeoutMs,
    // The type of the library does not know it.
    ...{ agent: options.agent },
  });
}

function unavailable(action: string, socket: string, reason: string, cause: unknown): SandboxError {
  const message = `Cannot ${action}: the engine at ${JSON.stringify(socket)} does not answer (${reason})`;
  return new SandboxError('engine_unavailable', message, { cause });
}

function toEngineError(action: string, socket: string, error: unknown): Error {
  if (error instanceof EngineRefusal || error instanceof SandboxError) return error;
  const { statusCode, json, code } = error as { statusCode?: number; json?: unknown; code?: string };
  if (statusCode !== undefined) {
    // Where the answer should have been a stream, the library has put the engine's words into its own message only.
    const answer = json ?? (error as Error).message.replace(/^\(HTTP code \d+\) [a-z ]+ - /, '');
    return new EngineRefusal(statusCode, reasonOf(answer), { cause: error });
  }
  if (code !== undefined) return unavailable(action, socket, code, error);
  return error instanceof Error ? error : new Error(String(error));
}

const reasonCharactersMax = 300;

/** The engine's message as one line of bounded length. */
export function reasonOf(answer: unknown): string {
  const { message, error } = (answer ?? {}) as { message?: unknown; error?: unknown };
  const line = String(message ?? error ?? answer ?? 'no reason given')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length <= reasonCharactersMax ? line : `${line.slice(0, reasonCharactersMax)}…`;
}
