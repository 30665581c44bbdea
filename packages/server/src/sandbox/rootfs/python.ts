import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { SandboxError } from '../../jobs/ports.js';
import { findExecutable } from './executable.js';

/** An interpreter of the host. */
export interface HostPython {
  /** E.g. `/usr/bin/python3`. */
  readonly path: string;
  /** E.g. `3.11`. */
  readonly version: string;
  /** The directories that its library and its packages are in, without those that lie in another of them. */
  readonly prefixes: readonly string[];
}

const name = 'python3';
const versionMin = [3, 8] as const;
const timeoutMs = 10_000;

/** The distribution's own comes first: others on the path may be wrappers that need the home of a user. */
const usualPlaces = [`/usr/bin/${name}`, `/usr/local/bin/${name}`];

const question = [
  'import sys',
  'print(sys.executable)',
  'print(*sys.version_info[:2])',
  'print(*sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}), sep="\\n")',
].join('\n');

/**
 * Finds the interpreter of the host that sandboxes are to have.
 *
 * @param path of the interpreter; empty for the distribution's
 * @returns undefined when none was named and there is none
 * @throws SandboxError `engine_unavailable` when the one that was named will not do
 */
export async function findHostPython(path: string): Promise<HostPython | undefined> {
  if (path !== '') return await inspect(path);
  for (const place of usualPlaces) {
    const found = await inspect(place).catch(() => undefined);
    if (found !== undefined) return found;
  }
  const elsewhere = await findExecutable(name);
  return elsewhere === undefined ? undefined : await inspect(elsewhere).catch(() => undefined);
}

async function inspect(path: string): Promise<HostPython> {
  const refuse = (reason: string, cause?: unknown) =>
    new SandboxError('engine_unavailable', `Cannot use the interpreter ${JSON.stringify(path)}: ${reason}`, { cause });
  try {
    const { stdout } = await promisify(execFile)(path, ['-I', '-c', question], { timeout: timeoutMs, env: {} });
    // What was named may be a wrapper, which would be of no use inside.
    const [executable = '', version = '', ...prefixes] = stdout.trim().split('\n');
    // Programs start it by this name, and so does the agent.
    const alias = join(dirname(executable), name);
    if ((await realpath(alias)) !== (await realpath(executable)))
      throw refuse(`${JSON.stringify(alias)} is another one`);
    const [major = 0, minor = 0] = version.split(' ').map(Number);
    if (major !== versionMin[0] || minor < versionMin[1]) throw refuse(`it is Python ${major}.${minor}`);
    return { path: alias, version: `${major}.${minor}`, prefixes: outermost(prefixes) };
  } catch (error) {
    throw error instanceof SandboxError ? error : refuse('it does not run', error);
  }
}

function outermost(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`)));
}
