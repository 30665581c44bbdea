import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import {
  coreBytesMax,
  hostName,
  sandboxEnvironment,
  sandboxUser,
  sharedMemoryBytes,
  tmpfsMounts,
  workDirectory,
} from '../../packages/server/dist/sandbox/containment.js';
import { driver, openPlain, type Plain } from './plain.js';
import type { Ended, Program } from './program.js';

export const image = 'python:3.11-slim';

const mebibyte = 1024 * 1024;
const limits = { processes: 256, openFiles: 1024, memoryBytes: 1024 * mebibyte };

/** The arguments of `docker run` for a container like the service's, but with the engine's own seccomp profile. */
function runArguments(): readonly string[] {
  const mounts = tmpfsMounts({ diskBytes: 2048 * mebibyte, inodesMax: 100_000 });
  return [
    ...['run', '--interactive', '--rm', '--network', 'none', '--hostname', hostName, '--workdir', workDirectory],
    ...['--user', `${sandboxUser.uid}:${sandboxUser.gid}`, '--read-only', '--cap-drop', 'ALL'],
    ...['--security-opt', 'no-new-privileges', '--ipc', 'private', '--shm-size', String(sharedMemoryBytes)],
    ...['--memory', String(limits.memoryBytes), '--memory-swap', String(limits.memoryBytes)],
    ...['--pids-limit', String(limits.processes), '--ulimit', `nofile=${limits.openFiles}:${limits.openFiles}`],
    ...['--ulimit', `core=${coreBytesMax}:${coreBytesMax}`],
    ...mounts.flatMap(({ path, options }) => ['--tmpfs', `${path}:${options.join(',')}`]),
  ];
}

const env = { ...process.env, DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41' };

const variables = sandboxEnvironment({ cpuCount: 1 });

/** One container, in which plain Python runs one program after the other. */
export function openPlainContainer(): Plain {
  const plain = openPlain(['docker', ...runArguments(), image, 'python3', '-c', driver], env);
  return {
    // Not by `--env`: the engine's client gives those in any order.
    run: (program) => plain.run({ ...program, env: [...variables, ...(program.env ?? [])] }),
    close: () => plain.close(),
  };
}

/** The real `docker run … python3 main.py` for a program of one file: Python is pid 1 of a container of its own. */
export async function runInContainer({ main = '', args = [], stdin = '' }: Program): Promise<Ended> {
  const script = 'printf %s "$MAIN" >main.py; unset MAIN; exec python3 main.py "$@"';
  const given = [...variables, `MAIN=${main}`].flatMap((variable) => ['--env', variable]);
  const command = [...runArguments(), ...given, image, 'sh', '-c', script, 'sh', ...args];
  const child = spawn('docker', command, { env, stdio: 'pipe' });
  const exit = once(child, 'exit');
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr, exitCode: (await exit)[0] };
}
