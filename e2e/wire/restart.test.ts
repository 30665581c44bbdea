import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { call, read, refusalOf, run, submit, upload } from '../support/api.js';
import { backend } from '../support/backend.js';
import { filesBelow, processesNamed, processName, takeName } from '../support/machine.js';
import { type Service, startService } from '../support/service.js';

const soon = { timeout: 15_000, interval: 50 };
const sleeper = 'import time\nprint("so far", flush=True)\ntime.sleep(60)';
const env = { PYEXEC_MAX_CONCURRENT: '1', PYEXEC_POOL_SIZE: '1', PYEXEC_POOL_MAX: '1', PYEXEC_SHUTDOWN_GRACE: '2' };

let dataDir = '';
let service: Service;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'pyexec-restart-'));
});
afterEach(async () => {
  await service.stop();
  expect(await backend.sandboxes(service.ownerId)).toEqual([]);
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function start(): Promise<void> {
  service = await startService({ dataDir, env });
}

async function startSleeper(): Promise<string> {
  const id = await submit(service, sleeper);
  await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe('so far\n'), soon);
  return id;
}

function final(id: string) {
  return vi.waitFor(async () => {
    const result = await read(service, id);
    expect(['pending', 'running']).not.toContain(result.status);
    return result;
  }, soon);
}

describe('after kill -9 of the server', () => {
  test('what was answered 202 is there: what waited runs, what ran has lost its worker, what ended stays', async () => {
    await start();
    const done = await run(service, 'print("done")');
    const running = await startSleeper();
    const big = { 'main.py': 'import os; print(os.path.getsize("data"))', data: Buffer.alloc(2_000_000, 'x') };
    const waiting = [
      await submit(service, 'import sys; print(sys.argv, sys.stdin.read())', { script_args: ['a'], stdin: 'b' }),
      await submit(service, big),
    ];
    const left = await backend.sandboxes(service.ownerId);
    expect(left.length).toBeGreaterThanOrEqual(1);
    await service.crash();

    await start();
    expect(await read(service, done.execution_id)).toMatchObject({
      status: 'completed',
      stdout: 'done\n',
      exit_code: 0,
    });
    const lost = await final(running);
    expect(lost).toMatchObject({ status: 'failed', termination: { reason: 'worker_lost' }, error: expect.any(String) });
    expect(await final(waiting[0] as string)).toMatchObject({ status: 'completed', stdout: "['main.py', 'a'] b\n" });
    expect(await final(waiting[1] as string)).toMatchObject({ status: 'completed', stdout: '2000000\n' });
    await vi.waitFor(async () => {
      const now = await backend.sandboxes(service.ownerId);
      expect(now.filter((id) => left.includes(id))).toEqual([]);
    }, soon);
    expect(await filesBelow(`${dataDir}/spool`)).toEqual([]);
  });

  test('what had begun a moment before is not run again', async () => {
    for (let round = 0; round < 3; round += 1) {
      await start();
      const running = await startSleeper();
      await service.crash();
      await start();
      expect(await final(running)).toMatchObject({ status: 'failed', termination: { reason: 'worker_lost' } });
      await service.stop();
    }
  });

  test('the sandboxes of another live service are left alone', async () => {
    await start();
    const other = await startService({ env });
    try {
      const id = await submit(other, sleeper);
      await vi.waitFor(async () => expect((await read(other, id)).stdout).toBe('so far\n'), soon);
      const theirs = await backend.sandboxes(other.ownerId);
      await startSleeper();
      await service.crash();
      await start();
      expect(await run(service, 'print("back")')).toMatchObject({ stdout: 'back\n' });
      expect(await backend.sandboxes(other.ownerId)).toEqual(expect.arrayContaining([...theirs]));
      expect((await read(other, id)).status).toBe('running');
    } finally {
      await other.stop();
    }
  });

  test('in the midst of submissions, every id that was answered is readable', async () => {
    await start();
    const ids: string[] = [];
    let submitting = true;
    const submitters = Array.from({ length: 8 }, async () => {
      while (submitting) {
        const answer = await upload(service, 'async', 'print("x")').catch(() => undefined);
        if (answer === undefined) return;
        if (answer.status === 202) ids.push((answer.body as { execution_id: string }).execution_id);
      }
    });
    await vi.waitFor(() => expect(ids.length).toBeGreaterThan(100), soon);
    await service.crash();
    submitting = false;
    await Promise.all(submitters);

    await start();
    for (const id of ids) expect((await call(service, 'GET', `/api/v1/executions/${id}`)).status, id).toBe(200);
    const ended = ids.slice(0, 5);
    for (const id of ended) expect(['completed', 'failed']).toContain((await final(id)).status);
    // The others are not waited for: nobody wants them.
    await Promise.all(ids.map((id) => call(service, 'DELETE', `/api/v1/executions/${id}`)));
  });
});

describe('SIGTERM', () => {
  const name = processName();

  test('lets what runs come to its end, accepts nothing more, and the exit code is 0', async () => {
    await start();
    const answer = run(service, `${takeName(name)}\nimport time\ntime.sleep(1)\nprint("ended")`);
    await vi.waitFor(async () => expect(await processesNamed(name)).not.toEqual([]), soon);
    const later = await submit(service, 'print("later")');
    service.process.kill('SIGTERM');
    await vi.waitFor(async () => {
      const refused = await upload(service, 'async', 'print(1)').catch(() => undefined);
      if (refused !== undefined) expect(refusalOf(refused)).toMatchObject({ status: 503, code: 'shutting_down' });
    }, soon);
    expect(await answer).toMatchObject({ status: 'completed', stdout: 'ended\n' });
    await service.stop();

    await start();
    expect(await final(later)).toMatchObject({ status: 'completed', stdout: 'later\n' });
  });

  test('ends what takes longer than the grace time, and says so to who waits', async () => {
    await start();
    const answer = run(service, `${takeName(name)}\n${sleeper}`);
    await vi.waitFor(async () => expect(await processesNamed(name)).not.toEqual([]), soon);
    const id = await submit(service, 'print("later")');
    const began = performance.now();
    const stopped = service.stop();
    expect(await answer).toMatchObject({
      status: 'failed',
      stdout: 'so far\n',
      termination: { reason: 'worker_lost' },
    });
    await stopped;
    expect(performance.now() - began).toBeLessThan(8_000);

    await start();
    expect(await final(id)).toMatchObject({ status: 'completed', stdout: 'later\n' });
  });
});
