export interface ApiErrorOptions {
  readonly cause?: unknown;
  readonly retryAfterSeconds?: number | undefined;
}

/**
 * The service answered, and not with what was asked for. A program that fails is never one of these: that is a result.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Seconds after which a retry makes sense, when the service says so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    /** HTTP status, e.g. 404. */
    readonly status: number,
    /**
     * The service's machine-readable code, an `ErrorCode` of the contract such as `execution_not_found`; undefined when
     * something in between answered.
     */
    readonly code: string | undefined,
    message: string,
    options: ApiErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** There was no answer, or it broke off: the service is not there, or the way to it is cut. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';

  constructor(
    /** Address of the service, as the client was given it. */
    readonly baseUrl: string,
    cause: unknown,
  ) {
    super(`Cannot reach "${baseUrl}": ${reasonOf(cause)}`, { cause });
  }
}

/** fetch says "fetch failed" and hides the reason in `cause`, or in `errors` when it tried several addresses. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((each) => reasonOf(each)).join('; ');
  }
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}
