export type {
  ErrorCode,
  ExecutionConfig,
  ExecutionResult,
  ExecutionStatus,
  Metadata,
  SimpleExecRequest,
} from '@python-executor/contract';
export { type ArchiveDirectory, type ArchiveEntry, type ArchiveFile, packArchive } from './archive.js';
export { type ClientOptions, PythonExecutorClient, type WaitOptions } from './client.js';
export { ApiError, ConnectionError } from './errors.js';
export type { ExecutionRequest, Files } from './request.js';
export type { CallOptions } from './transport.js';
