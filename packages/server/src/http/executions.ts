import { quote, ServiceError } from '@python-executor/contract';
import type { FastifyInstance } from 'fastify';
import type { Executions } from './ports.js';
import { sendResult } from './result.js';

const path = '/api/v1/executions/:id';
const idPattern = /^exe_[0-9a-f-]{36}$/;

interface IdRoute {
  Params: { id: string };
}

/** `GET` and `DELETE /api/v1/executions/:id`: look at an execution, and stop it. */
export function addExecutionRoutes(app: FastifyInstance, options: { readonly executions: Executions }): void {
  const { executions } = options;

  app.get<IdRoute>(path, async ({ params }, reply) => {
    requireId(params.id);
    return sendResult(reply, await executions.read(params.id));
  });

  app.delete<IdRoute>(path, async ({ params }) => {
    requireId(params.id);
    return { status: await executions.cancel(params.id) };
  });
}

/** What cannot be an id is answered like an id that nobody has, before the store is asked. */
function requireId(id: string): void {
  if (!idPattern.test(id)) throw executionNotFound(id);
}

export function executionNotFound(id: string): ServiceError {
  return new ServiceError('execution_not_found', `Cannot find execution ${quote(id)}`);
}
