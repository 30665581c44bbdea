import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ServiceIdentity } from './processes.js';
import { type ServiceState, stateOf, untilQuiet } from './state.js';
import type { Target } from './target.js';
import { multipart, post } from './upload.js';

/** The service in a process of its own, over HTTP keep-alive. */
export interface ServiceTarget extends Target, ServiceIdentity {
  readonly url: URL;
  rest(): Promise<void>;
  state(): Promise<ServiceState>;
}

const commandLine = fileURLToPath(new URL('../../packages/cli/bin/python-executor.js', import.meta.url));

/** @throws Error with what the service said when it does not start */
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
  const url = await listening(name, child);
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  return {
    name,
    url,
    pid: child.pid ?? 0,
    dataDir,
    backend: env.PYEXEC_BACKEND === 'docker' ? 'docker' : 'oci',
    ownerId: readFileSync(join(dataDir, 'owner'), 'utf8').trim(),
    state: () => stateOf(url),
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

function listening(name: string, child: ChildProcess): Promise<URL> {
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += String(chunk);
  });
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const found = /"url":"([^"]+)"/.exec(line)?.[1];
      if (found !== undefined) resolve(new URL(found));
    });
    child.once('exit', (code) => reject(new Error(`${name}: the service ended with ${code}: ${said}`)));
  });
}
