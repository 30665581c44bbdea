import type { IncomingHttpHeaders } from 'node:http';
import { quote, ServiceError } from '@python-executor/contract';

/** @throws ServiceError `unsupported_media_type` unless the body is what the route reads, and not compressed. */
export function requireMediaType(headers: IncomingHttpHeaders, expected: string): void {
  const contentType = headers['content-type'] ?? '';
  const end = contentType.indexOf(';');
  const mediaType = (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  if (mediaType !== expected) {
    const message = `Cannot read request: content type ${quote(mediaType)} is not supported, send ${quote(expected)}`;
    throw new ServiceError('unsupported_media_type', message);
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    const message = `Cannot read request: content encoding ${quote(encoding)} is not supported, send it uncompressed`;
    throw new ServiceError('unsupported_media_type', message);
  }
}
