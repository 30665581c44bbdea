import { ServiceError } from '@python-executor/contract';
import type { Fault } from './messages.js';

const retryAfterSeconds = 5;

/** Messages of SQLite name no paths, so they may be shown to clients. */
export function unavailable(fault: Fault): ServiceError {
  return new ServiceError('store_unavailable', `Cannot reach the record of executions: ${fault.message}`, {
    cause: fault,
    retryAfterSeconds,
  });
}

export function rejected(fault: Fault): ServiceError {
  return new ServiceError('internal', `Cannot write to the record of executions: ${fault.message}`, { cause: fault });
}
