import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pack } from 'tar-stream';
import type { Workload } from './workloads.js';

/** A way of running Python that is timed. */
export interface Target {
  readonly name: string;
  /** Gets ready for a workload; what it returns runs that once and throws unless it printed the right thing. */
  prepare(workload: Workload): Promise<() => Promise<void>>;
  /** Resolves when the next run meets a machine at rest: everything that waits is there, nothing is being made. */
  rest?(): Promise<void>;
  close(): Promise<void>;
}

export interface ServiceTarget extends Target {
  readonly pid: number;
}

/** Starts a command in a folder of the workload's files and feeds it. */
function commandTarget(name: string, command: (folder: string) => readonly string[]): Target {
  const folders: string[] = [];
  return {
    name,
    async prepare(workload) {
      const folder = mkdtempSync(join(tmpdir(), 'pyexec-bench-'));
      folders.push(folder);
      for (const [path, content] of Object.entries(workload.files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), content);
      }
      const [program = '', ...args] = command(folder);
      return () =>
        new Promise((resolve, reject) => {
          const child = execFile(
            program,
            args,
            { cwd: folder, maxBuffer: 1 << 26, env: environment },
            (error, stdout) => {
              if (error !== null) reject(error);
              else if (stdout !== workload.stdout) reject(new Error(`${name} printed ${stdout.slice(0, 200)}`));
              else resolve();
            },
          );
          // A program that reads nothing may be gone before its stdin was written.
          child.stdin?.on('error', () => {});
          child.stdin?.end(workload.stdin);
        });
    },
    async close() {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}

const environment = { ...process.env, DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41' };

/** `python3 main.py`, started by hand. */
export const barePython = commandTarget('bare python3', () => ['/usr/bin/python3', 'main.py']);

/** `docker run` of the same, with the same image. */
export const dockerRun = commandTarget('docker run', (folder) => [
  ...['docker', 'run', '--rm', '-i', '--network', 'none', '-v', `${folder}:/work:ro`, '-w', '/work'],
  ...['python:3.11-slim', 'python3', 'main.py'],
]);

const commandLine = fileURLToPath(new URL('../../packages/cli/bin/python-executor.js', import.meta.url));

/** The service in a process of its own, over HTTP keep-alive. */
export async function startServiceTarget(name: string, env: Readonly<Record<string, string>>): Promise<ServiceTarget> {
  const dataDir = mkdtempSync(join(tmpdir(), 'pyexec-bench-data-'));
  const child = spawn(process.execPath, [commandLine, 'serve'], {
    env: {
      ...process.env,
      PYEXEC_HOST: '127.0.0.1',
      PYEXEC_PORT: '0',
      PYEXEC_DATA_DIR: dataDir,
      PYEXEC_LOG_LEVEL: 'info',
      PYEXEC_MAX_CONCURRENT: '64',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += String(chunk);
  });
  const url = await new Promise<URL>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /"url":"([^"]+)"/.exec(line)?.[1];
      if (found !== undefined) resolve(new URL(found));
    });
    child.once('exit', (code) => reject(new Error(`${name}: the service ended with ${code}: ${said}`)));
  });
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  return {
    name,
    pid: child.pid ?? 0,
    async prepare(workload) {
      const body = await multipart(workload);
      return () => post(url, agent, body, workload);
    },
    rest: () => untilQuiet(url),
    async close() {
      agent.destroy();
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exit;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function untilQuiet(url: URL): Promise<void> {
  for (;;) {
    const response = await fetch(new URL('/ready', url));
    const { running, pool } = (await response.json()) as { running: number; pool: { ready: number; making: number } };
    if (running === 0 && pool.making === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const boundary = 'python-executor-bench';

async function multipart({ files, stdin }: Workload): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  const tar: Buffer[] = [];
  for await (const chunk of archive) tar.push(chunk as Buffer);
  const metadata = JSON.stringify({ entrypoint: 'main.py', stdin });
  return Buffer.concat([
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n${metadata}\r\n--${boundary}\r\n`,
    ),
    Buffer.from(
      'content-disposition: form-data; name="tar"; filename="code.tar"\r\ncontent-type: application/x-tar\r\n\r\n',
    ),
    ...tar,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}

function post(url: URL, agent: Agent, body: Buffer, workload: Workload): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
    const options = { agent, method: 'POST', path: '/api/v1/exec/sync', host: url.hostname, port: url.port, headers };
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        try {
          const result = JSON.parse(text) as { stdout?: string; exit_code?: number };
          if (result.exit_code === 0 && result.stdout === workload.stdout) resolve();
          else reject(new Error(`status ${incoming.statusCode}: ${text.slice(0, 300)}`));
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
