import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { run, submit } from '../support/api.js';
import { backend } from '../support/backend.js';
import { type Service, startService } from '../support/service.js';

let service: Service;

afterEach(async () => {
  if (service.process.exitCode === null && service.process.signalCode === null) await service.stop();
});

async function start(env: Record<string, string> = {}): Promise<void> {
  service = await startService({ env: { PYEXEC_POOL_SIZE: '2', PYEXEC_POOL_MAX: '8', ...env } });
}

/** Processes of this machine in the cgroup of a zygote of the service; its sandboxes are in cgroups of their own. */
async function zygoteProcesses(): Promise<number[]> {
  const owner = createHash('sha256').update(service.ownerId).digest('hex').slice(0, 12);
  const own = new RegExp(`/${owner}\\.[0-9a-f]+/z[0-9a-f]{14}$`, 'm');
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    ids.map(async (id) => {
      const cgroups = await readFile(`/proc/${id}/cgroup`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
      return own.test(cgroups) && command.startsWith('python3\0main.py') ? [Number(id)] : [];
    }),
  );
  return found.flat();
}

/** What has been forked a moment ago is in the zygote's cgroup still. */
async function expectOneZygote(): Promise<void> {
  await vi.waitFor(async () => expect(await zygoteProcesses()).toHaveLength(1), soon);
}

const soon = { timeout: 5_000, interval: 50 };
const sleeper = 'import time\nprint("up", flush=True)\ntime.sleep(60)\n';

async function eightRunning(): Promise<string[]> {
  const ids = await Promise.all(Array.from({ length: 8 }, () => submit(service, sleeper)));
  for (const id of ids) {
    await vi.waitFor(async () => {
      const answer = await fetch(`${service.url}/api/v1/executions/${id}`);
      expect(await answer.json()).toMatchObject({ status: 'running', stdout: 'up\n' });
    }, soon);
  }
  return ids;
}

test('sandboxes are forked, every one anew', async () => {
  await start();
  const program = 'import os\nprint(os.path.exists("/tmp/x"), len(os.listdir("/proc/self/fd")))\nopen("/tmp/x", "w")\n';
  const results = await Promise.all(Array.from({ length: 20 }, () => run(service, program)));
  expect(new Set(results.map(({ stdout }) => stdout))).toEqual(new Set(['False 4\n']));
  await expectOneZygote();
});

test('a zygote that is killed while programs run is replaced, and they have lost their worker', async () => {
  await start();
  const ids = await eightRunning();
  const [zygote] = await zygoteProcesses();
  process.kill(zygote as number, 'SIGKILL');
  for (const id of ids) {
    await vi.waitFor(async () => {
      const answer = await fetch(`${service.url}/api/v1/executions/${id}`);
      expect(await answer.json()).toMatchObject({
        status: 'failed',
        stdout: 'up\n',
        termination: { reason: 'worker_lost', phase: 'run' },
      });
    }, soon);
  }
  expect(await run(service, 'print("back")')).toMatchObject({ stdout: 'back\n', exit_code: 0 });
  await expectOneZygote();
  expect(await zygoteProcesses()).not.toContain(zygote);
});

test('a zygote that hangs is replaced', async () => {
  await start({ PYEXEC_POOL_SIZE: '0', PYEXEC_POOL_MAX: '0' });
  await run(service, 'print(1)');
  const [zygote] = await zygoteProcesses();
  process.kill(zygote as number, 'SIGSTOP');
  expect(await run(service, 'print("served")')).toMatchObject({ stdout: 'served\n' });
  await vi.waitFor(async () => expect(await zygoteProcesses()).not.toContain(zygote), { timeout: 20_000 });
});

test('a server that is killed while programs run leaves nothing running, and the next one clears what is left', async () => {
  await start();
  await eightRunning();
  const sandboxes = await backend.sandboxes(service.ownerId);
  expect(sandboxes.length).toBeGreaterThanOrEqual(8);
  await service.crash();
  await vi.waitFor(async () => expect(await zygoteProcesses()).toEqual([]), soon);
  const { dataDir } = service;
  service = await startService({ dataDir, env: { PYEXEC_POOL_SIZE: '2', PYEXEC_POOL_MAX: '2' } });
  expect(await run(service, 'print("back")')).toMatchObject({ stdout: 'back\n' });
  await vi.waitFor(async () => {
    const left = await backend.sandboxes(service.ownerId);
    expect(left.filter((name) => sandboxes.includes(name))).toEqual([]);
  }, soon);
});
