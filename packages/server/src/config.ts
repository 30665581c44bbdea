import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Setting, SettingsReader } from './settings.js';

/** What a request gets when it asks for nothing, and the most it may ask for. */
export interface Limit {
  readonly default: number;
  readonly max: number;
}

/** The whole configuration of a server, read once from the environment. Frozen; times in ms, sizes in bytes. */
export type Config = ReturnType<typeof readAll>;

/** The environment does not make sense; the message names every fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the configuration from `PYEXEC_*` variables.
 *
 * @throws ConfigError that names every variable at fault
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const reader = new SettingsReader(environment);
  const config = readAll(reader, environment);
  if (reader.faults.length > 0) {
    throw new ConfigError(`Cannot start: ${reader.faults.join('; ')}`);
  }
  return config;
}

/** Every variable that the server reads, with its default, in the order of the documentation. */
export function listSettings(): readonly Setting[] {
  const reader = new SettingsReader({});
  readAll(reader, {});
  return reader.settings;
}

function readAll(read: SettingsReader, environment: Readonly<Record<string, string | undefined>>) {
  return Object.freeze({
    http: Object.freeze({
      host: read.string('PYEXEC_HOST', '0.0.0.0'),
      port: read.integer('PYEXEC_PORT', { default: 8080, min: 0, max: 65_535 }),
      bodyBytesMax: read.mebibytes('PYEXEC_MAX_BODY_MB', { default: 100, max: 10_240 }),
      codeBytesMax: read.integer('PYEXEC_MAX_CODE_BYTES', { default: 102_400 }),
      /** The `metadata` part of an upload, and what `/eval` may carry besides code; stdin travels in both. */
      metadataBytesMax: read.mebibytes('PYEXEC_MAX_METADATA_MB', { default: 16, max: 1_024 }),
      headersTimeoutMs: read.seconds('PYEXEC_HEADERS_TIMEOUT', { default: 15 }),
      bodyIdleTimeoutMs: read.seconds('PYEXEC_BODY_IDLE_TIMEOUT', { default: 15 }),
      bodyBytesPerSecondMin: read.integer('PYEXEC_BODY_MIN_RATE', { default: 1024, min: 0 }),
      connectionsMax: read.integer('PYEXEC_MAX_CONNECTIONS', { default: 4096 }),
    }),
    log: Object.freeze({
      level: read.oneOf('PYEXEC_LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    }),
    store: Object.freeze({
      /** Directory of database and spool; `:memory:` keeps nothing. */
      dataDir: read.string('PYEXEC_DATA_DIR', '') || defaultDataDir(environment),
      cleanupTtlMs: read.seconds('PYEXEC_CLEANUP_TTL', { default: 86_400 }),
    }),
    jobs: Object.freeze({
      concurrencyMax: read.integer('PYEXEC_MAX_CONCURRENT', { default: 16, max: 4096 }),
      queueMax: read.integer('PYEXEC_MAX_QUEUE', { default: 1000, max: 1_000_000 }),
      shutdownGraceMs: read.seconds('PYEXEC_SHUTDOWN_GRACE', { default: 30, min: 0 }),
      readyTimeoutMs: read.seconds('PYEXEC_READY_TIMEOUT', { default: 30 }),
    }),
    limits: Object.freeze({
      timeoutSeconds: limit(read, 'TIMEOUT', 300, 3_600),
      memoryMb: limit(read, 'MEMORY_MB', 1_024, 8_192),
      diskMb: limit(read, 'DISK_MB', 2_048, 10_240),
      cpuShares: limit(read, 'CPU_SHARES', 1_024, 262_144),
      defaultNetwork: read.oneOf('PYEXEC_DEFAULT_NETWORK', ['disabled', 'enabled'], 'disabled'),
      stdoutBytesMax: read.integer('PYEXEC_MAX_STDOUT_BYTES', { default: 10_485_760 }),
      stderrBytesMax: read.integer('PYEXEC_MAX_STDERR_BYTES', { default: 10_485_760 }),
    }),
    archive: Object.freeze({
      entriesMax: read.integer('PYEXEC_MAX_ARCHIVE_ENTRIES', { default: 10_000 }),
      depthMax: read.integer('PYEXEC_MAX_PATH_DEPTH', { default: 100 }),
      componentBytesMax: read.integer('PYEXEC_MAX_NAME_BYTES', { default: 255, max: 255 }),
      memoryBytesMax: read.integer('PYEXEC_ARCHIVE_MEMORY_BYTES', { default: 262_144, min: 0 }),
    }),
    images: Object.freeze({
      default: read.string('PYEXEC_DEFAULT_IMAGE', 'python:3.11-slim'),
      /** Patterns with `*`; empty allows every image. */
      allowed: read.list('PYEXEC_ALLOWED_IMAGES'),
      pullTimeoutMs: read.seconds('PYEXEC_PULL_TIMEOUT', { default: 300 }),
    }),
    pool: Object.freeze({
      sizeMin: read.integer('PYEXEC_POOL_SIZE', { default: 4, min: 0, max: 1024 }),
      sizeMax: read.integer('PYEXEC_POOL_MAX', { default: 16, min: 0, max: 4096 }),
      memoryBytesMax: read.mebibytes('PYEXEC_POOL_MEMORY_MB', { default: 1024 }),
      idleMs: read.seconds('PYEXEC_POOL_IDLE', { default: 300 }),
      ageMsMax: read.seconds('PYEXEC_POOL_MAX_AGE', { default: 3_600 }),
      refillConcurrencyMax: read.integer('PYEXEC_POOL_REFILL', { default: 2, max: 64 }),
      refillDelayMs: read.integer('PYEXEC_POOL_REFILL_DELAY_MS', { default: 100, min: 0, max: 60_000 }),
    }),
    sandbox: Object.freeze({
      processesMax: read.integer('PYEXEC_MAX_PROCESSES', { default: 256, min: 16 }),
      inodesMax: read.integer('PYEXEC_MAX_INODES', { default: 100_000, min: 1_000 }),
      openFilesMax: read.integer('PYEXEC_MAX_OPEN_FILES', { default: 1_024, min: 64 }),
      backend: read.oneOf('PYEXEC_BACKEND', ['auto', 'docker', 'oci'], 'auto'),
      dockerSocket: read.string('PYEXEC_DOCKER_SOCKET', '/var/run/docker.sock'),
      /** Runtime of the sandboxes, e.g. crun, runc or runsc; empty means the engine's default, or the first that works. */
      runtime: read.string('PYEXEC_RUNTIME', ''),
      networkMode: read.string('PYEXEC_NETWORK_MODE', 'bridge'),
      dnsServers: read.list('PYEXEC_DNS_SERVERS'),
      /** Addresses or networks that sandboxes with a network must not reach, besides this machine's own. */
      networkDenied: read.list('PYEXEC_NETWORK_DENY'),
      /** The interpreter that the oci backend uses where there is no image; empty means the distribution's. */
      hostPython: read.string('PYEXEC_HOST_PYTHON', ''),
      /** `on`: the oci backend forks sandboxes from an interpreter that is up already, where it can. */
      zygote: read.oneOf('PYEXEC_ZYGOTE', ['on', 'off'], 'on'),
      zygoteSandboxesMax: read.integer('PYEXEC_ZYGOTE_SANDBOXES', { default: 10_000 }),
      zygoteAgeMsMax: read.seconds('PYEXEC_ZYGOTE_AGE', { default: 3_600 }),
      zygoteMemoryBytesMax: read.mebibytes('PYEXEC_ZYGOTE_MEMORY_MB', { default: 64, min: 16 }),
      /** What the oci backend keeps while the server runs. */
      runtimeDir: read.string('PYEXEC_RUNTIME_DIR', '/run/python-executor'),
    }),
  });
}

function limit(read: SettingsReader, name: string, fallback: number, max: number): Limit {
  const most = read.integer(`PYEXEC_MAX_${name}`, { default: max });
  const usual = read.integer(`PYEXEC_DEFAULT_${name}`, { default: fallback });
  if (usual > most) read.faults.push(`PYEXEC_DEFAULT_${name} (${usual}) must not exceed PYEXEC_MAX_${name} (${most})`);
  return Object.freeze({ default: usual, max: most });
}

function defaultDataDir(environment: Readonly<Record<string, string | undefined>>): string {
  const home = environment.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return join(home, 'python-executor');
}
