import type { ExecutionResult } from '@python-executor/contract';
import { describe, expect, test, vi } from 'vitest';
import { kill, read, run, submit, upload } from '../support/api.js';
import { backend } from '../support/backend.js';
import { serviceForFile } from '../support/file-service.js';
import type { Service } from '../support/service.js';
import { slowness } from '../support/slowness.js';

const soon = { timeout: 10_000, interval: 20 };
const sleeper = 'import time\nprint("so far", flush=True)\ntime.sleep(60)';

function running(service: Service, id: string): Promise<ExecutionResult> {
  return vi.waitFor(async () => {
    const now = await read(service, id);
    expect(now.stdout).toBe('so far\n');
    return now;
  }, soon);
}

function ended(service: Service, id: string): Promise<ExecutionResult> {
  return vi.waitFor(async () => {
    const now = await read(service, id);
    expect(['pending', 'running']).not.toContain(now.status);
    return now;
  }, soon);
}

describe('DELETE of an execution', () => {
  // No sandbox waits, and one program runs at a time.
  const service = serviceForFile({ env: { PYEXEC_MAX_CONCURRENT: '1', PYEXEC_POOL_SIZE: '0', PYEXEC_POOL_MAX: '0' } });

  test('that is running stops it within a second, its sandbox is gone within two, and its output stays', async () => {
    const id = await submit(service, sleeper);
    await running(service, id);
    const began = performance.now();
    expect(await kill(service, id)).toBe('killed');
    expect(performance.now() - began).toBeLessThan(1_000 * slowness);
    await vi.waitFor(async () => expect(await backend.sandboxes(service.ownerId)).toEqual([]), {
      timeout: 2_000,
      interval: 50,
    });
    expect(performance.now() - began).toBeLessThan(2_500 * slowness);
    expect(await read(service, id)).toMatchObject({
      status: 'killed',
      exit_code: 137,
      stdout: 'so far\n',
      termination: { reason: 'killed', phase: 'run' },
      finished_at: expect.any(String),
    });
    expect(await read(service, id)).not.toHaveProperty('error');
  });

  test('that is pending means that it never runs', async () => {
    const first = await submit(service, sleeper);
    await running(service, first);
    const second = await submit(service, 'print("never")');
    expect(await read(service, second)).toEqual({
      execution_id: second,
      status: 'pending',
      stdout: '',
      stderr: '',
      exit_code: 0,
    });
    expect(await kill(service, second)).toBe('killed');
    const killed = await read(service, second);
    expect(killed).toMatchObject({ status: 'killed', stdout: '', termination: { reason: 'killed', phase: 'queue' } });
    expect(killed).not.toHaveProperty('started_at');
    expect(await kill(service, first)).toBe('killed');
    expect(await run(service, 'print("next")')).toMatchObject({ stdout: 'next\n' });
    expect(await read(service, second)).toEqual(killed);
  });

  test('that has finished answers its own status, and changes nothing', async () => {
    const done = await run(service, 'print("done")');
    expect(await kill(service, done.execution_id)).toBe('completed');
    expect(await read(service, done.execution_id)).toEqual(done);
    const failed = await run(service, 'while True: pass', { config: { timeout_seconds: 1 } });
    expect(await kill(service, failed.execution_id)).toBe('failed');
    expect(await read(service, failed.execution_id)).toEqual(failed);
  });

  test('twice, and by many at once, is one end', async () => {
    const id = await submit(service, sleeper);
    await running(service, id);
    expect(await Promise.all(Array.from({ length: 10 }, () => kill(service, id)))).toEqual(Array(10).fill('killed'));
    const first = await read(service, id);
    expect(await kill(service, id)).toBe('killed');
    expect(await read(service, id)).toEqual(first);
  });

  test('that is in its pre_commands stops it there', async () => {
    const id = await submit(service, 'print("never")', { pre_commands: ['echo so far; sleep 60'] });
    await running(service, id);
    expect(await kill(service, id)).toBe('killed');
    expect(await read(service, id)).toMatchObject({
      stdout: 'so far\n',
      termination: { reason: 'killed', phase: 'setup' },
    });
  });

  test('that waits for its image stops the waiting', async () => {
    const id = await submit(service, 'print("never")', { docker_image: '10.255.255.1:5000/slow:1' });
    expect(await kill(service, id)).toBe(await read(service, id).then(({ status }) => status));
    const { status, termination } = await ended(service, id);
    expect(['killed', 'failed']).toContain(status);
    expect(['killed', 'image_unavailable']).toContain(termination?.reason);
  });

  test('that ignores every signal stops it all the same', async () => {
    const program = `import signal\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except OSError: pass\n${sleeper}`;
    const id = await submit(service, program);
    await running(service, id);
    expect(await kill(service, id)).toBe('killed');
  });
});

describe('DELETE that races the end of the program', () => {
  const service = serviceForFile({ env: { PYEXEC_MAX_CONCURRENT: '4' } });

  test('gives one terminal state, which is what it answers and what stays', async () => {
    const rounds = Array.from({ length: 16 }, (_, index) => index);
    const statuses = new Set<string>();
    for (const group of [rounds.slice(0, 8), rounds.slice(8)]) {
      await Promise.all(
        group.map(async (index) => {
          const id = await submit(service, `import time; time.sleep(${(index % 8) * 0.02}); print("done")`);
          await vi.waitFor(async () => expect((await read(service, id)).status).not.toBe('pending'), soon);
          const answered = await kill(service, id);
          statuses.add(answered);
          const final = await read(service, id);
          expect(final.status).toBe(answered);
          expect(final.status === 'completed' ? final.stdout : 'done\n').toBe('done\n');
          expect(final.termination?.reason).toBe(answered === 'completed' ? 'exit' : 'killed');
          expect(await kill(service, id)).toBe(answered);
          expect(await read(service, id)).toEqual(final);
        }),
      );
    }
    for (const status of statuses) expect(['killed', 'completed']).toContain(status);
  });
});

describe('a sync client that goes away', () => {
  const service = serviceForFile({ env: { PYEXEC_MAX_CONCURRENT: '1', PYEXEC_POOL_SIZE: '0', PYEXEC_POOL_MAX: '0' } });

  /** Ids of executions that ended, with how, as the log has it. */
  const logged = () =>
    service.log.flatMap((line) => {
      const { executionId, status, reason } = JSON.parse(line) as Record<string, string>;
      return executionId === undefined || status === undefined ? [] : [{ executionId, status, reason }];
    });

  test('while its program runs: the sandbox is gone within five seconds and the record says killed', async () => {
    const controller = new AbortController();
    const answer = upload(service, 'sync', sleeper, {}, { signal: controller.signal });
    answer.catch(() => {});
    await vi.waitFor(async () => expect(await backend.sandboxes(service.ownerId)).toHaveLength(1), soon);
    const before = logged().length;
    controller.abort();
    await expect(answer).rejects.toThrow();
    await vi.waitFor(async () => expect(await backend.sandboxes(service.ownerId)).toEqual([]), {
      timeout: 5_000,
      interval: 50,
    });
    await vi.waitFor(() => expect(logged()).toHaveLength(before + 1), soon);
    const last = logged().at(-1);
    expect(last).toMatchObject({ status: 'killed', reason: 'killed' });
    expect(await read(service, last?.executionId ?? '')).toMatchObject({
      status: 'killed',
      termination: { reason: 'killed' },
    });
  });

  test('while it waits for its turn: its program never runs', async () => {
    const first = await submit(service, sleeper);
    await running(service, first);
    const controller = new AbortController();
    const answer = upload(service, 'sync', 'print("never")', {}, { signal: controller.signal });
    answer.catch(() => {});
    const before = logged().length;
    // Long enough for the upload to be accepted: another one after it is.
    const second = await submit(service, 'print("second")');
    controller.abort();
    await vi.waitFor(() => expect(logged()).toHaveLength(before + 1), soon);
    expect(await read(service, logged().at(-1)?.executionId ?? '')).toMatchObject({
      status: 'killed',
      stdout: '',
      termination: { phase: 'queue' },
    });
    await kill(service, first);
    expect(await ended(service, second)).toMatchObject({ status: 'completed', stdout: 'second\n' });
  });
});
