import { quote, ServiceError } from '@python-executor/contract';
import type { Config, Limit } from '../config.js';
import type { ExecutionRequest, Job, SandboxSpec } from './ports.js';

const mebibyte = 1024 * 1024;

/** What resolving needs to know of the server. */
export interface ResolveOptions {
  readonly limits: Config['limits'];
  readonly defaultImage: string;
  /** What the backend can give; it cannot always give a network. */
  readonly networks: readonly SandboxSpec['network'][];
  /** Whether requests may use the image. */
  readonly isImageAllowed: (image: string) => boolean;
}

export interface Resolved {
  readonly job: Job;
  readonly warnings: readonly string[];
}

/**
 * Turns a parsed request into a job: defaults, caps, entrypoint, image.
 *
 * @throws ServiceError `invalid_config`, `invalid_entrypoint`, `entrypoint_not_found`, `image_not_allowed` or
 * `dependencies_unsupported`
 */
export function resolveJob(executionId: string, request: ExecutionRequest, options: ResolveOptions): Resolved {
  const { metadata } = request;
  const config = metadata.config ?? {};
  const { limits } = options;
  refuseDependencies(metadata.requirements_txt);
  const timeoutSeconds = within('timeout_seconds', config.timeout_seconds, limits.timeoutSeconds);
  const memoryMb = within('memory_mb', config.memory_mb, limits.memoryMb);
  const diskMb = within('disk_mb', config.disk_mb, limits.diskMb);
  const cpuShares = within('cpu_shares', config.cpu_shares, limits.cpuShares);
  const network = resolveNetwork(config.network_disabled, options);
  const preCommands = metadata.pre_commands ?? [];
  const job: Job = {
    executionId,
    spec: Object.freeze({
      image: resolveImage(metadata.docker_image, options),
      memoryBytes: memoryMb * mebibyte,
      diskBytes: diskMb * mebibyte,
      cpuShares,
      network,
      privilege: preCommands.length > 0 ? 'setup' : 'program',
    }),
    entrypoint: resolveEntrypoint(metadata.entrypoint, request.archive.files),
    args: metadata.script_args ?? [],
    env: metadata.env_vars ?? [],
    preCommands,
    stdin: metadata.stdin ?? '',
    evalLastExpr: request.mode === 'eval',
    timeoutMs: timeoutSeconds * 1000,
  };
  const warnings = [...request.warnings];
  if ((config.disk_mb ?? 0) > 0 && diskMb > memoryMb) {
    warnings.push(
      `disk_mb ${diskMb} exceeds memory_mb ${memoryMb}: files in /work and /tmp count as memory, so memory ends first`,
    );
  }
  return { job: Object.freeze(job), warnings };
}

/** The sandbox of a request that asks for nothing in particular. */
export function defaultSpec({ limits, defaultImage }: Pick<ResolveOptions, 'limits' | 'defaultImage'>): SandboxSpec {
  return Object.freeze({
    image: defaultImage,
    memoryBytes: limits.memoryMb.default * mebibyte,
    diskBytes: limits.diskMb.default * mebibyte,
    cpuShares: limits.cpuShares.default,
    network: limits.defaultNetwork === 'disabled' ? 'none' : 'public',
    privilege: 'program',
  });
}

/** 0 and absent are the server's default; more than the cap is refused. */
function within(field: string, value: number | undefined, limit: Limit): number {
  if (value === undefined || value === 0) return limit.default;
  if (value <= limit.max) return value;
  throw new ServiceError(
    'invalid_config',
    `Cannot accept config.${field} ${quote(value)}: the most that this server allows is ${limit.max}`,
  );
}

function resolveNetwork(disabled: boolean | undefined, { limits, networks }: ResolveOptions): SandboxSpec['network'] {
  const network = (disabled ?? limits.defaultNetwork === 'disabled') ? 'none' : 'public';
  if (networks.includes(network)) return network;
  throw new ServiceError(
    'network_unsupported',
    'Cannot run with config.network_disabled false: the backend of this server has no network to give',
  );
}

function resolveImage(requested: string | undefined, options: ResolveOptions): string {
  const image = requested || options.defaultImage;
  if (options.isImageAllowed(image)) return image;
  throw new ServiceError('image_not_allowed', `Cannot use image ${quote(image)}: this server does not allow it`);
}

function resolveEntrypoint(requested: string | undefined, files: readonly string[]): string {
  if (!requested) {
    const detected =
      files.find((file) => file === 'main.py') ??
      files.find((file) => file === '__main__.py') ??
      // To the interpreter, a name that begins with a dash is an option.
      files.find((file) => file.endsWith('.py') && !file.startsWith('-'));
    if (detected !== undefined) return detected;
    throw new ServiceError(
      'entrypoint_not_found',
      'Cannot find a script to run: the archive has no main.py, no __main__.py and no other .py file; name one as entrypoint',
    );
  }
  const parts = requested.split('/').filter((part) => part !== '' && part !== '.');
  const path = parts.join('/');
  if (requested.startsWith('/') || requested.startsWith('-') || parts.includes('..') || /\p{Cc}/u.test(path)) {
    throw new ServiceError(
      'invalid_entrypoint',
      `Cannot run entrypoint ${quote(requested)}: it must be a path inside the archive`,
    );
  }
  if (!files.includes(path)) {
    throw new ServiceError(
      'entrypoint_not_found',
      `Cannot run entrypoint ${quote(requested)}: the archive has no such file`,
    );
  }
  return path;
}

function refuseDependencies(requirements: string | undefined): void {
  const text = requirements?.trim() ?? '';
  if (text === '' || text === '-') return;
  throw new ServiceError(
    'dependencies_unsupported',
    'Cannot install requirements_txt: this version does not install dependencies; use a docker_image that has them',
  );
}
