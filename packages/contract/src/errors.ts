/**
 * Every error code of the HTTP API with its status. The table is the one source: the HTTP layer reads the status from
 * it, the documentation is checked against it.
 */
export const errorStatus = {
  archive_compressed: 400,
  archive_conflict: 400,
  archive_corrupt: 400,
  archive_entry_type: 400,
  archive_path: 400,
  archive_too_large: 413,
  archive_too_many_entries: 413,
  bad_request: 400,
  code_too_large: 413,
  dependencies_unsupported: 400,
  engine_unavailable: 503,
  entrypoint_not_found: 400,
  execution_not_found: 404,
  header_too_large: 431,
  image_not_allowed: 403,
  internal: 500,
  invalid_config: 400,
  invalid_entrypoint: 400,
  invalid_metadata: 400,
  invalid_multipart: 400,
  invalid_request: 400,
  method_not_allowed: 405,
  network_unsupported: 400,
  not_found: 404,
  payload_too_large: 413,
  queue_full: 503,
  request_timeout: 408,
  shutting_down: 503,
  store_unavailable: 503,
  unsupported_media_type: 415,
  unsupported_python_version: 400,
} as const satisfies Record<string, number>;

/** A machine-readable error code; see {@link errorStatus} for the HTTP status of each. */
export type ErrorCode = keyof typeof errorStatus;

/** What every HTTP error looks like on the wire. */
export interface ErrorBody {
  readonly error: string;
  readonly code: ErrorCode;
}

export interface ServiceErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense; becomes the `Retry-After` header. */
  readonly retryAfterSeconds?: number;
}

/**
 * The service could not do what was asked. A failing user program is never one of these: that is a result.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: ServiceErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return errorStatus[this.code];
  }

  toBody(): ErrorBody {
    return { error: this.message, code: this.code };
  }
}
