import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** The oldest engine that is supported speaks this version; a newer client must be told. */
const environment = {
  ...process.env,
  DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41',
  DOCKER_BUILDKIT: '0',
};

/** Runs `docker` with the given arguments and returns what it prints. */
export async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', args, { env: environment, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Runs `docker` with these bytes as its stdin. */
export async function dockerWithStdin(stdin: Buffer, ...args: readonly string[]): Promise<string> {
  const running = run('docker', args, { env: environment });
  running.child.stdin?.end(stdin);
  return (await running).stdout;
}

export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
