import { quote, ServiceError } from '@python-executor/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { executionNotFound } from './executions.js';

/**
 * Answers what no route takes: 404 for an unknown path; for a known one `OPTIONS`, and 405 for its other methods. To be
 * called before the routes are added, as it learns of them while they are.
 */
export function addUnmatchedHandler(app: FastifyInstance): void {
  const paths = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  app.addHook('onRoute', ({ url, method }) => {
    const path = paths.get(url) ?? { pattern: patternOf(url), methods: new Set(['OPTIONS']) };
    paths.set(url, path);
    for (const name of [method].flat()) path.methods.add(name);
  });

  app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) => {
    const pathname = pathnameOf(request);
    const known = [...paths.values()].find(({ pattern }) => pattern.test(pathname));
    if (known === undefined) throw new ServiceError('not_found', `Path ${quote(pathname)} does not exist`);
    reply.header('allow', [...known.methods].sort().join(', '));
    if (request.method === 'OPTIONS') return reply.code(204).send();
    throw new ServiceError('method_not_allowed', `Method ${request.method} is not allowed for ${quote(pathname)}`);
  });
}

/** The error of a path that is not properly percent-encoded, which the router gives up on before it looks for a route. */
export function undecodableError(request: FastifyRequest): ServiceError {
  const pathname = pathnameOf(request);
  const id = /^\/api\/v1\/executions\/([^/]+)$/.exec(pathname)?.[1];
  if (id !== undefined) return executionNotFound(id);
  return new ServiceError('bad_request', `Cannot read path ${quote(pathname)}: it is not properly percent-encoded`);
}

function pathnameOf(request: FastifyRequest): string {
  return (request.raw.url ?? '').split('?', 1)[0] ?? '';
}

/** Of a route like `/a/:b` or `/a/*`. */
function patternOf(url: string): RegExp {
  const segments = url.split('/').map((segment) => {
    if (segment.startsWith(':')) return '[^/]*';
    return segment === '*' ? '.*' : segment.replace(/[^\w-]/g, '\\$&');
  });
  return new RegExp(`^${segments.join('/')}$`);
}
