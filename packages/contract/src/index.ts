export { ExecutionConfig } from './config.js';
export { type ErrorBody, type ErrorCode, errorStatus, ServiceError, type ServiceErrorOptions } from './errors.js';
export {
  type AcceptedEvent,
  type ExecutionEvent,
  type FinishedEvent,
  foldEvents,
  type OutputEvent,
  type StartedEvent,
} from './events.js';
export { Metadata, parseMetadata } from './metadata.js';
export type { Parsed } from './parse.js';
export { quote } from './quote.js';
export {
  AsyncResponse,
  ExecutionResult,
  ExecutionStatus,
  isFinal,
  KillResponse,
  Phase,
  Termination,
  TerminationReason,
  Usage,
} from './result.js';
export { CodeFile, parseSimpleExecRequest, pythonVersions, SimpleExecRequest } from './simple.js';
