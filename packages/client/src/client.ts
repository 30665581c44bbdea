import type {
  AsyncResponse,
  ExecutionResult,
  ExecutionStatus,
  KillResponse,
  SimpleExecRequest,
} from '@python-executor/contract';
import { pause } from './pause.js';
import { type ExecutionRequest, toForm } from './request.js';
import { type CallOptions, Transport } from './transport.js';

export interface ClientOptions {
  /** Address of the service, e.g. `http://localhost:8080`, with or without a slash at its end. */
  readonly baseUrl: string;
  /** What sends the requests; the place for headers, certificates and proxies. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Milliseconds that one request may take, its answer included. Default: no limit but that of `fetch`. */
  readonly timeoutMs?: number | undefined;
}

export interface WaitOptions extends CallOptions {
  /** Milliseconds between two looks. Default 2000. */
  readonly pollIntervalMs?: number | undefined;
  /** Milliseconds to wait at most. Default: without end. */
  readonly maxWaitMs?: number | undefined;
}

/**
 * Runs Python code on a python-executor service. Works in Node, Deno, Bun and browsers.
 *
 * Every method throws {@link ApiError} when the service refuses, {@link ConnectionError} when there is no answer, the
 * reason of `signal` when that aborts, and a `DOMException` named `TimeoutError` after `timeoutMs`. A program that fails
 * is a result like any other: look at `exit_code`.
 *
 * @example
 * const client = new PythonExecutorClient({ baseUrl: 'http://localhost:8080' });
 * const result = await client.executeSync({ files: { 'main.py': "print('Hello!')" } });
 * console.log(result.stdout, result.exit_code);
 */
export class PythonExecutorClient {
  readonly #transport: Transport;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
  }

  /**
   * Runs a program and waits for its end. The service kills the program when `signal` aborts.
   *
   * The fetch of Node gives up after 300 s without an answer: for programs that take longer use {@link executeAsync} and
   * {@link waitForCompletion}, or a `fetch` of your own.
   *
   * @throws TypeError when the request has neither files nor a tar, or both, or a file name that cannot be sent
   * @example
   * const result = await client.executeSync({
   *   files: { 'main.py': 'print(input())' },
   *   metadata: { stdin: 'ping', config: { timeout_seconds: 5 } },
   * });
   */
  async executeSync(request: ExecutionRequest, options: CallOptions = {}): Promise<ExecutionResult> {
    const body = await toForm(request);
    return (await this.#transport.call(
      { method: 'POST', path: '/api/v1/exec/sync', body },
      options,
    )) as ExecutionResult;
  }

  /**
   * Submits a program and returns its id at once, for long runs and for several at a time.
   *
   * @throws TypeError as {@link executeSync} does
   * @example
   * const id = await client.executeAsync({ files: { 'main.py': "print('done')" } });
   * const result = await client.waitForCompletion(id);
   */
  async executeAsync(request: ExecutionRequest, options: CallOptions = {}): Promise<string> {
    const body = await toForm(request);
    const answer = await this.#transport.call({ method: 'POST', path: '/api/v1/exec/async', body }, options);
    return (answer as AsyncResponse).execution_id;
  }

  /**
   * Looks at an execution as it stands: status and output so far, the rest as far as it is known.
   *
   * @example
   * const { status } = await client.getExecution(id);
   */
  async getExecution(executionId: string, options: CallOptions = {}): Promise<ExecutionResult> {
    const answer = await this.#transport.call({ method: 'GET', path: pathOf(executionId) }, options);
    return answer as ExecutionResult;
  }

  /**
   * Stops an execution, pending or running. One that has ended stays as it is.
   *
   * @returns its final status: `killed`, or how it had ended before
   * @example
   * await client.kill(id);
   */
  async kill(executionId: string, options: CallOptions = {}): Promise<ExecutionStatus> {
    const answer = await this.#transport.call({ method: 'DELETE', path: pathOf(executionId) }, options);
    return (answer as KillResponse).status;
  }

  /**
   * Looks at an execution again and again until it has ended; at least once, and once more when the wait is over.
   *
   * @throws DOMException named `TimeoutError` when it has not ended after `maxWaitMs`; it goes on, {@link kill} stops it
   * @example
   * const result = await client.waitForCompletion(id, { pollIntervalMs: 500, maxWaitMs: 60_000 });
   */
  async waitForCompletion(executionId: string, options: WaitOptions = {}): Promise<ExecutionResult> {
    const { pollIntervalMs = 2000, maxWaitMs = Number.POSITIVE_INFINITY, signal } = options;
    const deadlineMs = performance.now() + maxWaitMs;
    for (;;) {
      const result = await this.getExecution(executionId, { signal });
      if (result.status !== 'pending' && result.status !== 'running') return result;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        const message = `Execution "${executionId}" is still ${result.status} after ${maxWaitMs} ms`;
        throw new DOMException(message, 'TimeoutError');
      }
      await pause(Math.min(pollIntervalMs, leftMs), { signal });
    }
  }

  /**
   * Runs a piece of code sent as JSON and waits for its end. With `eval_last_expr` the `repr()` of a final expression
   * becomes `result`.
   *
   * @example
   * const { result } = await client.eval({ code: '6 * 7', eval_last_expr: true });
   */
  async eval(request: SimpleExecRequest, options: CallOptions = {}): Promise<ExecutionResult> {
    const answer = await this.#transport.call(
      {
        method: 'POST',
        path: '/api/v1/eval',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      },
      options,
    );
    return answer as ExecutionResult;
  }
}

function pathOf(executionId: string): string {
  return `/api/v1/executions/${encodeURIComponent(executionId)}`;
}
