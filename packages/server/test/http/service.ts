import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionResult } from '@python-executor/contract';
import { pino } from 'pino';
import { archiveOfFiles } from '../../dist/archive/compose.js';
import { receiveArchive } from '../../dist/archive/receive.js';
import { readConfig } from '../../dist/config.js';
import type { Executions, ReceiveArchive } from '../../dist/http/ports.js';
import { createHttpServer, type HttpServerOptions } from '../../dist/http/server.js';
import type { Archive, ExecutionRequest } from '../../dist/jobs/ports.js';

export const knownId = 'exe_01234567-89ab-cdef-0123-456789abcdef';

export const result: ExecutionResult = {
  execution_id: knownId,
  status: 'completed',
  stdout: 'hi\n',
  stderr: '',
  exit_code: 0,
};

export interface ServiceOptions {
  readonly config?: Partial<HttpServerOptions['config']>;
  readonly executions?: Partial<Executions>;
  /** Stands between the upload and the archive. */
  readonly receiveArchive?: (receive: ReceiveArchive) => ReceiveArchive;
}

export interface Service {
  readonly url: string;
  readonly port: number;
  /** Requests that were handed over, in order. */
  readonly requests: readonly ExecutionRequest[];
  /** Lines of the log, parsed. */
  readonly log: readonly Record<string, unknown>[];
  /** How many archives were made and are not disposed of, in memory or as a spool file. */
  archivesLeft(): Promise<number>;
  /** How many connections are open. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

/** Starts the HTTP API on a free port, with real archives, over executions that are recorded and always succeed. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const requests: ExecutionRequest[] = [];
  const log: Record<string, unknown>[] = [];
  const archives = new Set<Archive>();
  const spoolDir = await mkdtemp(join(tmpdir(), 'http-test-'));
  const { http, archive } = readConfig({});
  const config = { ...http, ...options.config };
  const archiveOptions = { ...archive, bytesMax: config.bodyBytesMax, spoolDir };

  async function track(made: Promise<Archive>): Promise<Archive> {
    const tracked = await made;
    const dispose = tracked.dispose.bind(tracked);
    archives.add(tracked);
    tracked.dispose = () => {
      archives.delete(tracked);
      return dispose();
    };
    return tracked;
  }

  async function take(request: ExecutionRequest): Promise<void> {
    requests.push(request);
    await request.archive.dispose();
  }

  const receive: ReceiveArchive = (source) => track(receiveArchive(source, archiveOptions));
  const app = createHttpServer({
    executions: {
      runToEnd: async (request) => {
        await take(request);
        return result;
      },
      enqueue: async (request) => {
        await take(request);
        return knownId;
      },
      read: async () => result,
      cancel: async () => 'killed',
      checkReady: async () => ({ running: 0, waiting: 0 }),
      ...options.executions,
    },
    receiveArchive: options.receiveArchive?.(receive) ?? receive,
    archiveOfFiles: (files) => track(archiveOfFiles(files, archiveOptions)),
    renderMetrics: async () => 'up 1\n',
    config,
    logger: pino({ level: 'info' }, { write: (line) => void log.push(JSON.parse(line)) }),
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    log,
    archivesLeft: async () => archives.size + (await readdir(spoolDir)).length,
    connections: () => promisify(app.server.getConnections.bind(app.server))(),
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
      await rm(spoolDir, { recursive: true });
    },
  };
}
