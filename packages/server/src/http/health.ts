import { ServiceError } from '@python-executor/contract';
import type { FastifyInstance } from 'fastify';
import { whileConnected } from './departure.js';
import type { Executions } from './ports.js';

const readyTimeoutMs = 5_000;

/** `GET /health`: the process answers. `GET /ready`: it could run something now, else 503. */
export function addHealthRoutes(app: FastifyInstance, options: { readonly executions: Executions }): void {
  app.get('/health', (_request, reply) => {
    reply.send({ status: 'ok' });
  });

  app.get('/ready', (request) =>
    whileConnected(request, async (gone) => {
      const timeout = AbortSignal.timeout(readyTimeoutMs);
      try {
        const readiness = await options.executions.checkReady({ signal: AbortSignal.any([gone, timeout]) });
        return { status: 'ready', ...readiness };
      } catch (error) {
        if (!timeout.aborted) throw error;
        const message = `Cannot run anything now: the engine did not answer within ${readyTimeoutMs} ms`;
        throw new ServiceError('engine_unavailable', message, { cause: error });
      }
    }),
  );
}
