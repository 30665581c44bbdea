import type { FastifyInstance } from 'fastify';

export interface MetricsOptions {
  /** Text in the format of Prometheus. */
  readonly renderMetrics: () => Promise<string>;
}

/** The format's own name for itself. */
const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/** `GET /metrics`: what the service counts, for Prometheus. */
export function addMetricsRoute(app: FastifyInstance, { renderMetrics }: MetricsOptions): void {
  app.get('/metrics', async (_request, reply) => {
    const text = await renderMetrics();
    return reply.header('content-type', contentType).send(text);
  });
}
