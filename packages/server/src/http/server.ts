import { quote, ServiceError } from '@python-executor/contract';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { sendError } from './errors.js';
import { addEvalRoutes } from './eval.js';
import { addExecRoutes } from './exec.js';
import { addExecutionRoutes } from './executions.js';
import { addHealthRoutes } from './health.js';
import { createListener, onClientError } from './listener.js';
import { addMetricsRoute, type MetricsOptions } from './metrics.js';
import type { ArchiveOfFiles, Executions, ReceiveArchive } from './ports.js';
import { limitStall } from './stall.js';
import { addUnmatchedHandler, undecodableError } from './unmatched.js';
import { hasLongUnreadBody } from './unread.js';

export interface HttpServerOptions {
  readonly executions: Executions;
  readonly receiveArchive: ReceiveArchive;
  readonly archiveOfFiles: ArchiveOfFiles;
  readonly renderMetrics: MetricsOptions['renderMetrics'];
  readonly config: Config['http'];
  readonly logger: Logger;
}

/** Makes the HTTP API. It does not listen yet: `await server.listen({ host, port })`. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { executions, receiveArchive, archiveOfFiles, config, logger } = options;
  const app = fastify({
    serverFactory: (handler) => createListener(handler, config),
    clientErrorHandler: onClientError,
    frameworkErrors: (_error, request, reply) => sendError(request, reply, undecodableError(request), logger),
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    // A child of the logger for every request costs more than the whole routing, and nothing is logged by it.
    childLoggerFactory: (parent) => parent,
    // Work is refused by whoever would do it, with the code for it; reading goes on until the end.
    return503OnClosing: false,
    // No path can be longer than the headers, so an id of any length reaches its route.
    routerOptions: { maxParamLength: 64 * 1024 },
  });
  // Bodies are read by the routes, under the guard of receiveBody.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  app.setErrorHandler((error, request, reply) => sendError(request, reply, error, logger));
  addHooks(app, config, logger);
  addUnmatchedHandler(app);
  addHealthRoutes(app, { executions });
  addMetricsRoute(app, options);
  addExecRoutes(app, { executions, receiveArchive, limits: config });
  addEvalRoutes(app, { executions, archiveOfFiles, limits: config });
  addExecutionRoutes(app, { executions });
  return app;
}

function addHooks(app: FastifyInstance, config: Config['http'], logger: Logger): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers, httpVersion } = request.raw;
    const transferEncoding = headers['transfer-encoding'];
    if (httpVersion === '1.1' && headers.host === undefined) {
      done(new ServiceError('bad_request', 'Cannot read request: header "host" is missing'));
    } else if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
      const message = `Cannot read request: transfer encoding ${quote(transferEncoding)} is not supported`;
      done(new ServiceError('bad_request', message));
    } else done();
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    if (hasLongUnreadBody(request.raw)) reply.header('connection', 'close');
    limitStall(reply.raw, config.bodyIdleTimeoutMs);
    done(null, payload);
  });

  app.addHook('onResponse', (request, reply, done) => {
    if (logger.isLevelEnabled('debug')) {
      const { method } = request;
      const { url: route } = request.routeOptions;
      logger.debug({ method, route, status: reply.statusCode, durationMs: Math.round(reply.elapsedTime) }, 'Answered');
    }
    done();
  });
}
