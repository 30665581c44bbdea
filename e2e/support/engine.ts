import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** The oldest engine that is supported speaks this version; a newer client must be told. */
const environment = { ...process.env, DOCKER_API_VERSION: process.env['DOCKER_API_VERSION'] ?? '1.41' };

/** Runs `docker` with the given arguments and returns what it prints. */
export async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', args, { env: environment, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Ids of the containers of any python-executor, running or not. */
export async function sandboxContainers(): Promise<string[]> {
  const ids = await docker('ps', '--all', '--quiet', '--filter', 'label=python-executor.owner');
  return ids.split('\n').filter((id) => id !== '');
}
