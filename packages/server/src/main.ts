import type { AddressInfo } from 'node:net';
import { type Logger, pino } from 'pino';
import { archiveOfFiles } from './archive/compose.js';
import { receiveArchive } from './archive/receive.js';
import { archiveInFile, archiveInMemory } from './archive/stored.js';
import { openBackend } from './backends.js';
import type { Config } from './config.js';
import { openDataDirectory } from './data-directory.js';
import { createHttpServer } from './http/server.js';
import { Executions } from './jobs/executions.js';
import type { ExecutionStore } from './jobs/ports.js';
import { defaultSpec } from './jobs/resolve.js';
import { createMetrics } from './metrics/metrics.js';
import type { Backend } from './sandbox/backend.js';
import { createDirectSandboxes } from './sandbox/direct.js';
import { imageAllowed } from './sandbox/docker/image.js';
import { createPool, type Pool, type PoolObserver } from './sandbox/pool/pool.js';
import { openSqliteStore } from './store/sqlite.js';

/** A server that accepts requests. */
export interface RunningServer {
  /** Where it listens, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Accepts nothing more, lets what runs end within the grace time, lets go of everything. Idempotent. */
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Where log lines go; JSON lines on stdout when absent. */
  readonly logger?: Logger;
}

const pruneEveryMs = 300_000;
const reapEveryMs = 60_000;

/**
 * Starts the service: wires every part, takes over what an earlier server left, listens.
 *
 * @throws Error when the store cannot be opened or the port not be had; nothing is left running then
 */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const logger = options.logger ?? pino({ level: config.log.level });
  const cleanups: (() => Promise<unknown>)[] = [];
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing ??= runAll(cleanups.reverse(), logger);
    await closing;
  };
  try {
    const url = await wire(config, logger, (cleanup) => cleanups.push(cleanup));
    logger.info({ url }, 'ready');
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Makes every part and connects them; `onCleanup` takes what undoes each, to be run in reverse order. */
async function wire(
  config: Config,
  logger: Logger,
  onCleanup: (cleanup: () => Promise<unknown>) => void,
): Promise<string> {
  const directory = await openDataDirectory(config.store.dataDir);
  onCleanup(directory.close);
  const store = await openSqliteStore({ dataDir: config.store.dataDir, logger, archiveInMemory, archiveInFile });
  onCleanup(() => store.close());

  const { ownerId, imagesDir } = directory;
  const metrics = createMetrics();
  const backend = await openBackend(config, { ownerId, imagesDir, zygoteObserver: metrics.zygotes, logger });
  onCleanup(() => backend.close());
  onCleanup(reapRegularly(backend, logger));
  const pool = createSandboxPool(config, backend, { observer: metrics.pool, logger });
  onCleanup(() => pool.close());

  const executions = new Executions({
    store,
    sandboxes: pool,
    jobs: config.jobs,
    describeSandboxes: () => backend.describe(),
    observer: metrics.executions,
    resolve: {
      limits: config.limits,
      defaultImage: config.images.default,
      networks: backend.networks,
      isImageAllowed: (image) => config.images.allowed.length === 0 || imageAllowed(image, config.images.allowed),
    },
    logger,
  });
  const recovered = await executions.recover();
  if (recovered.resumed + recovered.lost > 0) logger.warn(recovered, 'took over from an earlier server');
  onCleanup(pruneRegularly(store, config.store.cleanupTtlMs, logger));

  const archive = { ...config.archive, bytesMax: config.http.bodyBytesMax, spoolDir: directory.spoolDir };
  const http = createHttpServer({
    executions,
    receiveArchive: (source) => receiveArchive(source, archive),
    archiveOfFiles: (files) => archiveOfFiles(files, archive),
    renderMetrics: () => metrics.render({ ...executions.load, sandboxes: pool.stats }),
    config: config.http,
    logger,
  });
  onCleanup(() => http.close());
  await http.listen({ host: config.http.host, port: config.http.port });
  onCleanup(() => executions.close());
  return urlOf(http.server.address() as AddressInfo);
}

function createSandboxPool(
  config: Config,
  backend: Backend,
  { observer, logger }: { readonly observer: PoolObserver; readonly logger: Logger },
): Pool {
  const { limits, pool, images, jobs } = config;
  return createPool({
    ...pool,
    source: createDirectSandboxes(backend, { readyTimeoutMs: jobs.readyTimeoutMs }),
    defaultSpec: defaultSpec({ limits, defaultImage: images.default }),
    observer,
    logger,
  });
}

function pruneRegularly(store: ExecutionStore, ttlMs: number, logger: Logger): () => Promise<void> {
  const prune = (): void => {
    store.prune(new Date(Date.now() - ttlMs).toISOString()).catch((error: unknown) => {
      logger.warn({ err: error }, 'old executions could not be removed');
    });
  };
  const timer = setInterval(prune, Math.min(ttlMs, pruneEveryMs));
  prune();
  return async () => clearInterval(timer);
}

/** Removes what servers that are gone have left, and what could not be removed when it was to be. */
function reapRegularly(backend: Backend, logger: Logger): () => Promise<void> {
  const reap = (): void => {
    backend.reap().then(
      (count) => count > 0 && logger.warn({ count }, 'removed sandboxes that were left behind'),
      (error: unknown) => logger.warn({ err: error }, 'what was left behind could not be looked for'),
    );
  };
  const timer = setInterval(reap, reapEveryMs);
  reap();
  return async () => clearInterval(timer);
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function runAll(cleanups: readonly (() => Promise<unknown>)[], logger: Logger): Promise<void> {
  for (const cleanup of cleanups) {
    try {
      await cleanup();
    } catch (error) {
      logger.error({ err: error }, 'a part of the server could not be closed');
    }
  }
}
