import { ApiError, ConnectionError } from '@python-executor/client';
import { CommanderError } from 'commander';

/** The command line asks for something that cannot be done; nothing was sent. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The service refused, or is not there. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
}

/** The user gave up. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';

  constructor(readonly signalNumber: number) {
    super(`Interrupted by signal ${signalNumber}`);
  }
}

export interface Failure {
  readonly exitCode: number;
  /** Absent when there is nothing more to say. */
  readonly message?: string;
}

/** Every way in which a command can end without a result. What is none of them is a fault of ours, and thrown on. */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { exitCode: 2, message: error.message };
  if (error instanceof ServerError) return { exitCode: 1, message: error.message };
  if (error instanceof InterruptedError) return { exitCode: 128 + error.signalNumber };
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? 0 : 2 };
  throw error;
}

/** Says what went wrong between us and the service, and the way out; passes on what is something else. */
export function explainServerFault(error: unknown, serverUrl: string): unknown {
  if (error instanceof ConnectionError) {
    const wayOut = 'Is the server running? Start one with `python-executor serve`, or name another with --server';
    return new ServerError(`${error.message}. ${wayOut}`, { cause: error });
  }
  if (error instanceof ApiError) {
    const code = error.code === undefined ? '' : `, ${error.code}`;
    const retry = error.retryAfterSeconds === undefined ? '' : `; try again in ${error.retryAfterSeconds} s`;
    const message = `${serverUrl} answered: ${error.message} (HTTP ${error.status}${code})${retry}`;
    return new ServerError(message, { cause: error });
  }
  return error;
}
