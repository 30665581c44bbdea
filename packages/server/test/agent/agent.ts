import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { archiveOfFiles } from '../../dist/archive/compose.js';
import { openBackend } from '../../dist/backends.js';
import { readConfig } from '../../dist/config.js';
import type { AgentExit, Archive, Job, ReadySandbox, RunOptions, SandboxSpec } from '../../dist/jobs/ports.js';
import { startSession } from '../../dist/sandbox/agent/session.js';

const mebibyte = 1024 * 1024;
const deadlineMs = 30_000;

/** What a test says of a job; the rest is as small as can be. */
export interface TestJob
  extends Partial<Pick<Job, 'entrypoint' | 'args' | 'env' | 'preCommands' | 'stdin' | 'evalLastExpr'>> {
  /** Source of main.py. */
  readonly main?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Instead of files. */
  readonly archive?: Archive;
  readonly spec?: Partial<SandboxSpec>;
  readonly stdoutBytesMax?: number;
  readonly onOutput?: RunOptions['onOutput'];
  readonly signal?: AbortSignal;
}

export interface Ran extends AgentExit {
  readonly stdout: string;
  readonly stderr: string;
  readonly phaseBefore: ReadySandbox['phase'];
}

/** Real agents, each in a sandbox of its own. */
export interface Agents {
  run(job: TestJob): Promise<Ran>;
  close(): Promise<void>;
}

export async function openAgents(): Promise<Agents> {
  const config = readConfig({ PYEXEC_BACKEND: process.env.PYEXEC_TEST_BACKEND ?? 'docker' });
  const backend = await openBackend(config, {
    ownerId: randomUUID(),
    imagesDir: join(tmpdir(), `agent-test-${randomUUID()}`),
    logger: pino({ level: 'silent' }),
  });
  return {
    async run(job) {
      const signal = AbortSignal.any([AbortSignal.timeout(deadlineMs), ...(job.signal ? [job.signal] : [])]);
      const sandbox = await backend.create(specOf(job), { signal });
      const session = await startSession(sandbox, { signal });
      try {
        return await runJob(session, job, signal);
      } finally {
        await session.destroy();
      }
    },
    close: () => backend.close(),
  };
}

/** Runs a job in a sandbox whose agent waits for it. */
export async function runJob(session: ReadySandbox, job: TestJob, signal: AbortSignal): Promise<Ran> {
  const phaseBefore = session.phase;
  const pieces = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const archive = job.archive ?? (await archiveOf(job));
  const delivery = {
    job: jobOf(job),
    archive,
    stdoutBytesMax: job.stdoutBytesMax ?? 16 * mebibyte,
    stderrBytesMax: 16 * mebibyte,
  };
  const exit = await session.run(delivery, {
    signal,
    onOutput(stream, bytes) {
      pieces[stream].push(bytes);
      return job.onOutput?.(stream, bytes);
    },
  });
  const stdout = Buffer.concat(pieces.stdout).toString();
  return { ...exit, stdout, stderr: Buffer.concat(pieces.stderr).toString(), phaseBefore };
}

function specOf({ spec, preCommands = [] }: TestJob): SandboxSpec {
  return {
    image: 'python:3.11-slim',
    memoryBytes: 256 * mebibyte,
    diskBytes: 64 * mebibyte,
    cpuShares: 1024,
    network: 'none',
    privilege: preCommands.length > 0 ? 'setup' : 'program',
    ...spec,
  };
}

function jobOf({ entrypoint = 'main.py', args = [], env = [], preCommands = [], stdin = '', ...rest }: TestJob): Job {
  const { evalLastExpr = false } = rest;
  return { entrypoint, args, env, preCommands, stdin, evalLastExpr, timeoutMs: deadlineMs } as unknown as Job;
}

function archiveOf({ main, files = {} }: TestJob): Promise<Archive> {
  const named = main === undefined ? files : { 'main.py': main, ...files };
  const sources = Object.entries(named).map(([name, content]) => ({ name, content }));
  return archiveOfFiles(sources, archiveLimits);
}

export const archiveLimits = {
  ...readConfig({}).archive,
  bytesMax: 64 * mebibyte,
  spoolDir: tmpdir(),
};
