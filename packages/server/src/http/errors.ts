import type { OutgoingHttpHeaders } from 'node:http';
import { quote, ServiceError } from '@python-executor/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { isDeparture } from './departure.js';
import { answerAndClose, hasLongUnreadBody } from './unread.js';

/** Every 503 says when to come back; this is for those that have no better idea. */
const retryAfterSecondsUsual = 5;

/**
 * Answers a request that failed. The one place that makes HTTP of an error: what is no ServiceError is logged and
 * answered as `internal`, without a word of what it was.
 */
export function sendError(request: FastifyRequest, reply: FastifyReply, error: unknown, logger: Logger): void {
  const fault = serviceErrorOf(error);
  if (fault.code === 'internal' && !isDeparture(error)) {
    logger.error({ err: error, method: request.method, route: request.routeOptions.url }, 'Cannot answer request');
  }
  const headers = errorHeaders(fault);
  const body = JSON.stringify(fault.toBody());
  const isClosing = fault.status === 408 || fault.status === 413;
  if (hasLongUnreadBody(request.raw) || (isClosing && !request.raw.complete)) {
    reply.hijack();
    const allHeaders = { ...(reply.getHeaders() as OutgoingHttpHeaders), ...headers };
    answerAndClose(request.raw, reply.raw, { status: fault.status, headers: allHeaders, body });
    return;
  }
  // What is left of a short body is read and forgotten, so that the connection can serve the next request.
  request.raw.resume();
  reply.code(fault.status).headers(headers).send(body);
}

export function errorHeaders(fault: ServiceError): Record<string, string> {
  const retryAfterSeconds = fault.retryAfterSeconds ?? (fault.status === 503 ? retryAfterSecondsUsual : undefined);
  return {
    'content-type': 'application/json; charset=utf-8',
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
  };
}

function serviceErrorOf(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new ServiceError('unsupported_media_type', 'Cannot read request: its content type is malformed');
  }
  if (typeof code === 'string' && code.startsWith('FST_ERR_') && typeof statusCode === 'number' && statusCode < 500) {
    return new ServiceError('bad_request', `Cannot read request: ${quote(code)}`, { cause: error });
  }
  return new ServiceError('internal', 'Cannot answer request: the service failed, its log says why', { cause: error });
}
