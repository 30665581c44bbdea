import type { Readable } from 'node:stream';
import type { ExecutionResult, ExecutionStatus } from '@python-executor/contract';
import type { Readiness } from '../jobs/executions.js';
import type { Archive, ExecutionRequest } from '../jobs/ports.js';

/** The executions of this service, as far as the HTTP API needs them. Every method throws `ServiceError`. */
export interface Executions {
  /** Runs the request to its end. The signal aborts when the client goes away; the execution is to be killed then. */
  runToEnd(request: ExecutionRequest, options: { readonly signal: AbortSignal }): Promise<ExecutionResult>;
  /** @returns the id, once the execution survives a crash */
  enqueue(request: ExecutionRequest): Promise<string>;
  /** @throws ServiceError `execution_not_found` */
  read(executionId: string): Promise<ExecutionResult>;
  /**
   * @returns the final status
   * @throws ServiceError `execution_not_found`
   */
  cancel(executionId: string): Promise<ExecutionStatus>;
  /** Throws unless an execution could be run now. */
  checkReady(options: { readonly signal: AbortSignal }): Promise<Readiness>;
}

/**
 * Reads an uploaded tar to its end and makes a checked archive of it. Rejects, and leaves nothing behind, when the
 * source is destroyed.
 */
export type ReceiveArchive = (source: Readable) => Promise<Archive>;

/** Makes an archive of source files that came as text. */
export type ArchiveOfFiles = (
  files: readonly { readonly name: string; readonly content: string }[],
) => Promise<Archive>;
