import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { packArchive } from '@python-executor/client';
import type { Archive, Job, SandboxSpec } from '../../packages/server/dist/jobs/ports.js';
import { bundleAgent } from '../../packages/server/dist/sandbox/agent/bundle.js';
import { agentArguments } from '../../packages/server/dist/sandbox/agent/command.js';
import { startSession } from '../../packages/server/dist/sandbox/agent/session.js';
import type { Sandbox } from '../../packages/server/dist/sandbox/backend.js';
import { driver, openPlain, type Plain } from './plain.js';
import { type Ended, filesOf, type Program } from './program.js';

/** Interpreters of this machine to try besides that of the image, e.g. `/opt/python3.13/bin/python3`. Needs root. */
export const interpreters: readonly string[] = (process.env.PYEXEC_TEST_PYTHONS ?? '').split(',').filter(Boolean);

/** Where the interpreter's own prefix is seen, so that it may lie where nobody else may look. */
const prefix = '/mnt/python';

/** A command in namespaces of its own, as user 1000, with an empty /work and /tmp and `python3` the given one. */
function confined(python: string, ...command: readonly string[]): readonly [string, ...string[]] {
  const script = `
set -e
mount -t tmpfs -o mode=0755 mnt /mnt
mkdir ${prefix}
mount --bind "$1" ${prefix}
shift
mount -t tmpfs -o mode=0755,uid=1000,gid=1000 work /work
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
cd /work
exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs -- "$@"
`;
  const unshare = ['--pid', '--fork', '--kill-child', '--mount', '--mount-proc', '--net'];
  return ['unshare', ...unshare, 'sh', '-c', script, 'sh', dirname(dirname(python)), ...command];
}

const env = {
  PATH: `${prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
  // Where it was built, nobody but root may be able to look.
  LD_LIBRARY_PATH: `${prefix}/lib`,
  HOME: '/work',
  LANG: 'C.UTF-8',
};

export function openPlainInterpreter(python: string): Plain {
  return openPlain(confined(python, 'python3', '-c', driver), env);
}

/** Runs a program with an agent of its own. */
export async function runWithAgent(python: string, program: Program): Promise<Ended> {
  const sandbox = startAgent(python);
  const signal = AbortSignal.timeout(30_000);
  const session = await startSession(sandbox, { signal });
  try {
    const files = Object.entries(filesOf(program)).map(([name, content]) => {
      return { name, content, executable: program.executable?.includes(name) ?? false };
    });
    const output = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const exit = await session.run(
      {
        job: describe(program),
        archive: { bytes: await packArchive(files) } as Archive,
        stdoutBytesMax: 10_000_000,
        stderrBytesMax: 10_000_000,
      },
      {
        signal,
        onOutput(stream, bytes) {
          output[stream].push(bytes);
          return undefined;
        },
      },
    );
    return {
      stdout: Buffer.concat(output.stdout).toString(),
      stderr: Buffer.concat(output.stderr).toString(),
      exitCode: exit.exitCode ?? 128 + (exit.signal ?? 0),
    };
  } finally {
    await session.destroy();
  }
}

const spec = { network: 'none', privilege: 'program' } as SandboxSpec;

function startAgent(python: string): Sandbox {
  const [name, ...args] = confined(python, 'python3', '-I', '-S', '-c', bundleAgent(), ...agentArguments(spec));
  const { stdin, stdout, stderr } = spawn(name, args, { env, stdio: 'pipe' });
  return {
    id: python,
    stdin,
    stdout,
    stderr,
    measure: async () => undefined,
    async destroy() {
      stdin.destroy();
    },
  };
}

function describe({ entrypoint = 'main.py', args = [], env = [], stdin = '' }: Program): Job {
  return { entrypoint, args, env, preCommands: [], stdin, evalLastExpr: false } as unknown as Job;
}
