import { ApiError, ConnectionError } from './errors.js';

export interface TransportOptions {
  readonly baseUrl: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: FormData | string;
}

export interface CallOptions {
  /** Gives the request up; the method then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Sends single requests and tells the three ways apart in which they fail. */
export class Transport {
  readonly #baseUrl: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #timeoutMs: number | undefined;

  constructor(options: TransportOptions) {
    this.#baseUrl = options.baseUrl.replace(/\/+$/, '');
    // Browsers refuse a fetch that is called as a method of another object.
    const fetch = options.fetch ?? globalThis.fetch;
    this.#fetch = (input, init) => fetch(input, init);
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * @returns the JSON object of the answer
   * @throws ApiError, ConnectionError, the reason of `signal`, or a `TimeoutError` DOMException
   */
  async call(call: Call, options: CallOptions): Promise<object> {
    const signal = this.#limit(options.signal);
    const { response, text } = await this.#exchange(call, signal);
    const body = parse(text);
    if (!response.ok) throw refusal(response, body);
    if (body === undefined) {
      const message = `"${this.#baseUrl}" did not answer with a JSON object; is it a python-executor service?`;
      throw new ApiError(response.status, undefined, message);
    }
    return body;
  }

  async #exchange({ path, method, headers, body }: Call, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    try {
      const response = await this.#fetch(this.#baseUrl + path, {
        method,
        ...(headers && { headers }),
        ...(body !== undefined && { body }),
        ...(signal && { signal }),
      });
      return { response, text: await response.text() };
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(this.#baseUrl, error);
    }
  }

  #limit(signal: AbortSignal | undefined): AbortSignal | undefined {
    if (this.#timeoutMs === undefined) return signal;
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  }
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** In the words of the service; a proxy in between may have none to offer. */
function refusal(response: Response, body: Readonly<Record<string, unknown>> | undefined): ApiError {
  const { error, code } = body ?? {};
  const message = typeof error === 'string' ? error : `HTTP ${response.status} ${response.statusText}`.trimEnd();
  return new ApiError(response.status, typeof code === 'string' ? code : undefined, message, {
    retryAfterSeconds: secondsOf(response.headers.get('retry-after')),
  });
}

/** The header may hold a date instead, which this service never sends. */
function secondsOf(retryAfter: string | null): number | undefined {
  return retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
}
