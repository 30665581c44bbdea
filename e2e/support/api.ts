import type { ErrorBody, ExecutionResult, ExecutionStatus } from '@python-executor/contract';
import { multipartOf, multipartType, type Part, uploadParts } from './multipart.js';
import { tarOfFiles } from './tar.js';

/** Whatever a service answers to. */
export interface Addressed {
  readonly url: string;
}

/** Source of main.py, several files, or the bytes of a tar. */
export type Program = string | Readonly<Record<string, string | Buffer>> | Buffer;

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** The status of an HTTP error with what its body says. */
export interface Refusal extends ErrorBody {
  readonly status: number;
}

interface RequestOptions {
  readonly signal?: AbortSignal;
}

/** Runs a program through `/exec/sync`, and fails unless the service did its work. */
export async function run(
  service: Addressed,
  program: Program,
  metadata: unknown = {},
  options: RequestOptions = {},
): Promise<ExecutionResult> {
  return accepted(await upload(service, 'sync', program, metadata, options), 200) as ExecutionResult;
}

/** Submits a program through `/exec/async` and returns its id. */
export async function submit(service: Addressed, program: Program, metadata: unknown = {}): Promise<string> {
  const { execution_id: id } = accepted(await upload(service, 'async', program, metadata), 202) as {
    execution_id: string;
  };
  return id;
}

/** Sends what the service should refuse, and returns how it did. */
export async function refused(service: Addressed, program: Program, metadata: unknown = {}): Promise<Refusal> {
  return refusalOf(await upload(service, 'sync', program, metadata));
}

export function upload(
  service: Addressed,
  delivery: 'sync' | 'async',
  program: Program,
  metadata: unknown = {},
  options: RequestOptions = {},
): Promise<Answer<unknown>> {
  return postParts(service, delivery, uploadParts(toTar(program), metadata), options);
}

export function postParts(
  service: Addressed,
  delivery: 'sync' | 'async',
  parts: readonly Part[],
  options: RequestOptions = {},
): Promise<Answer<unknown>> {
  return call(service, 'POST', `/api/v1/exec/${delivery}`, {
    ...options,
    body: multipartOf(parts),
    type: multipartType,
  });
}

/** Sends a request to `/eval`. */
export function evaluate(service: Addressed, request: unknown): Promise<Answer<unknown>> {
  return call(service, 'POST', '/api/v1/eval', { body: JSON.stringify(request), type: 'application/json' });
}

/** Runs a request through `/eval`, and fails unless the service did its work. */
export async function runEval(service: Addressed, request: unknown): Promise<ExecutionResult> {
  return accepted(await evaluate(service, request), 200) as ExecutionResult;
}

export async function read(service: Addressed, id: string): Promise<ExecutionResult> {
  return accepted(await call(service, 'GET', `/api/v1/executions/${id}`), 200) as ExecutionResult;
}

/** Stops an execution and returns the status that the service answers with. */
export async function kill(service: Addressed, id: string): Promise<ExecutionStatus> {
  const answer = accepted(await call(service, 'DELETE', `/api/v1/executions/${id}`), 200);
  return (answer as { status: ExecutionStatus }).status;
}

export async function call(
  { url }: Addressed,
  method: string,
  path: string,
  options: RequestOptions & { readonly body?: Buffer | string; readonly type?: string } = {},
): Promise<Answer<unknown>> {
  const { body, type, signal } = options;
  const response = await fetch(`${url}${path}`, {
    method,
    ...(body !== undefined && { body }),
    ...(type !== undefined && { headers: { 'content-type': type } }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

export function refusalOf({ status, body }: Answer<unknown>): Refusal {
  const { error, code, ...rest } = body as ErrorBody;
  if (status < 400 || typeof error !== 'string' || typeof code !== 'string' || Object.keys(rest).length > 0) {
    throw new Error(`Expected a refusal, got ${status} ${JSON.stringify(body)}`);
  }
  return { status, error, code };
}

function accepted(answer: Answer<unknown>, status: number): unknown {
  if (answer.status === status) return answer.body;
  throw new Error(`Expected status ${status}, got ${answer.status} ${JSON.stringify(answer.body)}`);
}

function toTar(program: Program): Buffer {
  if (Buffer.isBuffer(program)) return program;
  return tarOfFiles(typeof program === 'string' ? { 'main.py': program } : program);
}
