import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { archiveOfFiles } from './archive/compose.js';
import { receiveArchive } from './archive/receive.js';
import { archiveInFile, archiveInMemory } from './archive/stored.js';
import type { Config } from './config.js';
import { createHttpServer } from './http/server.js';
import { Executions } from './jobs/executions.js';
import type { ExecutionStore } from './jobs/ports.js';
import { defaultSpec } from './jobs/resolve.js';
import { bundleAgent } from './sandbox/agent/bundle.js';
import { agentArguments } from './sandbox/agent/command.js';
import type { Backend } from './sandbox/backend.js';
import { createDirectSandboxes } from './sandbox/direct.js';
import { createDockerBackend } from './sandbox/docker/backend.js';
import { imageAllowed } from './sandbox/docker/image.js';
import { createPool, type Pool } from './sandbox/pool/pool.js';
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

const inMemory = ':memory:';
const pruneEveryMs = 300_000;

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

  const backend = createBackend(config, directory.ownerId);
  onCleanup(() => backend.close());
  void backend.reap().then(
    (count) => count > 0 && logger.warn({ count }, 'removed sandboxes that an earlier server left'),
    (error: unknown) => logger.warn({ err: error }, 'what an earlier server left could not be looked for'),
  );
  const pool = createSandboxPool(config, backend, logger);
  onCleanup(() => pool.close());

  const executions = new Executions({
    store,
    sandboxes: pool,
    jobs: config.jobs,
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
  const stopPruning = pruneRegularly(store, config.store.cleanupTtlMs, logger);
  onCleanup(stopPruning);

  const archive = { ...config.archive, bytesMax: config.http.bodyBytesMax, spoolDir: directory.spoolDir };
  const http = createHttpServer({
    executions,
    receiveArchive: (source) => receiveArchive(source, archive),
    archiveOfFiles: (files) => archiveOfFiles(files, archive),
    config: config.http,
    logger,
  });
  onCleanup(() => http.close());
  await http.listen({ host: config.http.host, port: config.http.port });
  onCleanup(() => executions.close());
  return urlOf(http.server.address() as AddressInfo);
}

function createBackend(config: Config, ownerId: string): Backend {
  const { sandbox, images } = config;
  const deniedAddresses = ownAddresses();
  return createDockerBackend({
    socket: sandbox.dockerSocket,
    pullTimeoutMs: images.pullTimeoutMs,
    ownerId,
    instanceId: randomUUID(),
    agentSource: bundleAgent(),
    agentArguments: (spec) => agentArguments(spec, deniedAddresses),
    processesMax: sandbox.processesMax,
    inodesMax: sandbox.inodesMax,
    openFilesMax: sandbox.openFilesMax,
    runtime: sandbox.runtime,
    networkMode: sandbox.networkMode,
    dnsServers: sandbox.dnsServers,
  });
}

function createSandboxPool(config: Config, backend: Backend, logger: Logger): Pool {
  const { limits, pool, images, jobs } = config;
  return createPool({
    ...pool,
    source: createDirectSandboxes(backend, { readyTimeoutMs: jobs.readyTimeoutMs }),
    defaultSpec: defaultSpec({ limits, defaultImage: images.default }),
    logger,
  });
}

/** The addresses of this machine: when the engine runs on it, sandboxes with a network must not reach them. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}

interface DataDirectory {
  readonly spoolDir: string;
  /** The same for every start on this directory. */
  readonly ownerId: string;
  close(): Promise<void>;
}

async function openDataDirectory(dataDir: string): Promise<DataDirectory> {
  if (dataDir === inMemory) {
    const spoolDir = await mkdtemp(join(tmpdir(), 'python-executor-'));
    return { spoolDir, ownerId: randomUUID(), close: () => rm(spoolDir, { recursive: true, force: true }) };
  }
  const spoolDir = join(dataDir, 'spool');
  await mkdir(spoolDir, { recursive: true, mode: 0o700 });
  return { spoolDir, ownerId: await readOwnerId(join(dataDir, 'owner')), close: async () => {} };
}

async function readOwnerId(path: string): Promise<string> {
  try {
    await writeFile(path, randomUUID(), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await readFile(path, 'utf8')).trim();
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
