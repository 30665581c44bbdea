import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { slowness } from './slowness.js';

/** The command as it was built. */
export const executable = fileURLToPath(new URL('../../packages/cli/bin/python-executor.js', import.meta.url));

export interface ServiceOptions {
  /** `PYEXEC_*` variables besides those that every test service has. */
  readonly env?: Readonly<Record<string, string>>;
  /** An existing data directory, to start again where another service stopped. */
  readonly dataDir?: string;
}

/** A real service: the built command, in a process of its own, on a free port of the loopback interface. */
export interface Service {
  readonly url: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** Log lines so far. */
  readonly log: readonly string[];
  /** What its sandboxes are labelled with: the same for every start on its data directory. */
  readonly ownerId: string;
  /** Resident memory of the server process now, in bytes. */
  residentBytes(): Promise<number>;
  /** How many files, sockets and pipes the server process holds open. */
  openFiles(): Promise<number>;
  /** Ends the process as a power failure would, and keeps its data directory. */
  crash(): Promise<void>;
  /** Stops the service as an operator would; rejects unless it exits with 0. */
  stop(): Promise<void>;
}

/** What a slow machine takes as long for as a client that means harm. In seconds, the usual times the slowness. */
const patience = {
  PYEXEC_HEADERS_TIMEOUT: String(15 * slowness),
  PYEXEC_BODY_IDLE_TIMEOUT: String(15 * slowness),
  PYEXEC_READY_TIMEOUT: String(30 * slowness),
};

/** The backend that the whole of the tests runs against: `docker` unless `PYEXEC_TEST_BACKEND` says otherwise. */
export const testBackend = process.env.PYEXEC_TEST_BACKEND ?? 'docker';

/** Images that were added once for all services of the tests, where there are any; see images.ts. */
async function shareImages(dataDir: string): Promise<void> {
  const shared = process.env.PYEXEC_TEST_IMAGES;
  const own = join(dataDir, 'images');
  if (shared !== undefined && !existsSync(own)) await symlink(shared, own);
}

export async function startService({ env = {}, dataDir }: ServiceOptions = {}): Promise<Service> {
  const directory = dataDir ?? (await mkdtemp(join(tmpdir(), 'pyexec-e2e-')));
  await shareImages(directory);
  const child = spawn(process.execPath, [executable, 'serve'], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PYEXEC_HOST: '127.0.0.1',
      PYEXEC_PORT: '0',
      PYEXEC_DATA_DIR: directory,
      PYEXEC_BACKEND: testBackend,
      PYEXEC_ZYGOTE: process.env.PYEXEC_TEST_ZYGOTE ?? 'on',
      ...(slowness > 1 && patience),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const stderr: string[] = [];
  child.stderr.on('data', (chunk) => stderr.push(String(chunk)));
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      log.push(line);
      const found = /"url":"([^"]+)"/.exec(line);
      if (found?.[1] !== undefined) resolve(found[1]);
    });
    child.once('exit', (code) =>
      reject(new Error(`The service ended with ${code} before it was ready:\n${log.join('\n')}\n${stderr.join('')}`)),
    );
  });
  return {
    url,
    dataDir: directory,
    process: child,
    log,
    ownerId: (await readFile(join(directory, 'owner'), 'utf8')).trim(),
    async residentBytes() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    },
    async openFiles() {
      return (await readdir(`/proc/${child.pid}/fd`)).length;
    },
    async crash() {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit');
        // A second signal would mean that it is to end at once.
        if (!child.killed) child.kill('SIGTERM');
        await exit;
      }
      if (dataDir === undefined) await rm(directory, { recursive: true, force: true });
      if (child.exitCode !== 0) throw new Error(`The service ended with ${child.exitCode}:\n${log.join('\n')}`);
    },
  };
}
