import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ExecutionRequest } from '../jobs/ports.js';
import { requireConnected, whileConnected } from './departure.js';
import { receiveUpload, type UploadLimits } from './multipart.js';
import type { Executions, ReceiveArchive } from './ports.js';
import { sendResult } from './result.js';

export interface ExecOptions {
  readonly executions: Executions;
  readonly receiveArchive: ReceiveArchive;
  readonly limits: UploadLimits;
}

/** `POST /api/v1/exec/sync` and `POST /api/v1/exec/async`: run an uploaded archive. */
export function addExecRoutes(app: FastifyInstance, { executions, receiveArchive, limits }: ExecOptions): void {
  app.post('/api/v1/exec/sync', (request, reply) =>
    whileConnected(request, async (signal) => {
      const execution = await receiveRequest(reply, signal);
      return sendResult(reply, await executions.runToEnd(execution, { signal }));
    }),
  );

  app.post('/api/v1/exec/async', (request, reply) =>
    whileConnected(request, async (signal) => {
      const execution = await receiveRequest(reply, signal);
      const executionId = await executions.enqueue(execution);
      return reply.code(202).send({ execution_id: executionId });
    }),
  );

  async function receiveRequest(reply: FastifyReply, signal: AbortSignal): Promise<ExecutionRequest> {
    const upload = await receiveUpload(reply, receiveArchive, limits);
    await requireConnected(signal, upload.archive);
    return { ...upload, mode: 'script' };
  }
}
