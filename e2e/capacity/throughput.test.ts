import type { ExecutionResult } from '@python-executor/contract';
import { describe, expect, test, vi } from 'vitest';
import { kill, read, run, submit } from '../support/api.js';
import { backend } from '../support/backend.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile({ env: { PYEXEC_POOL_SIZE: '4', PYEXEC_POOL_MAX: '8' } });
const soon = { timeout: 20_000, interval: 100 };

/** Does all of the work, so much of it at once, and returns the results in order. */
async function inParallel<Result>(
  count: number,
  atOnce: number,
  act: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < count; index = next++) results[index] = await act(index);
  }
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}

/** Once no sandbox is left but those that wait. */
function idle(): Promise<void> {
  return vi.waitFor(async () => {
    expect((await backend.sandboxes(service.ownerId)).length).toBeLessThanOrEqual(8);
  }, soon);
}

describe('many executions', () => {
  test('200 sync ones, eight at a time, are all right, and none is lost, nor any file left open', async () => {
    const echo = (index: number) =>
      run(service, 'import sys; print(sys.argv[1], sys.stdin.read())', {
        script_args: [String(index)],
        stdin: `in ${index}`,
      });
    // So that the connections to the engine that are kept are there before, too.
    await inParallel(8, 8, echo);
    await idle();
    const filesBefore = await service.openFiles();
    const results = await inParallel(200, 8, echo);
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index} in ${index}\n`));
    expect(new Set(results.map(({ execution_id }) => execution_id)).size).toBe(200);
    expect(new Set(results.map(({ status, exit_code }) => `${status} ${exit_code}`))).toEqual(new Set(['completed 0']));
    await idle();
    await vi.waitFor(async () => expect(await service.openFiles()).toBeLessThanOrEqual(filesBefore + 8), soon);
  }, 240_000);

  test('of every kind at once each end as they should', async () => {
    const kinds: readonly ((index: number) => Promise<void>)[] = [
      async () => expect(await run(service, 'print("fine")')).toMatchObject({ stdout: 'fine\n' }),
      async () =>
        expect(await run(service, 'raise ValueError')).toMatchObject({ exit_code: 1, error_type: 'ValueError' }),
      async () =>
        expect(await run(service, 'while True: pass', { config: { timeout_seconds: 1 } })).toMatchObject({
          timed_out: true,
        }),
      async () =>
        expect(await run(service, 'x = b"x" * 10 ** 9', { config: { memory_mb: 64 } })).toMatchObject({
          oom_killed: true,
        }),
      async () => expect((await run(service, 'print("x" * 2_000_000)')).stdout).toHaveLength(2_000_001),
      async (index) =>
        expect((await run(service, 'print(input())', { stdin: `${index}\n`, pre_commands: ['true'] })).stdout).toBe(
          `${index}\n`,
        ),
      async () => {
        const id = await submit(service, 'import time; time.sleep(60)');
        expect(await kill(service, id)).toBe('killed');
      },
      async (index) => {
        const id = await submit(service, `print(${index})`);
        await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe(`${index}\n`), soon);
      },
      async () => {
        const abandoned = run(service, 'import time; time.sleep(60)', {}, { signal: AbortSignal.timeout(300) });
        await expect(abandoned).rejects.toThrow();
      },
    ];
    await inParallel(27, 8, (index) => (kinds[index % kinds.length] as (typeof kinds)[number])(index));
    await idle();
  });
});

describe('kill under load', () => {
  test('of a sleeping execution returns within a second, and its sandbox is gone within two', async () => {
    let busy = true;
    const load = inParallel(1_000, 2, async () => (busy ? run(service, 'print(1)') : undefined));
    const id = await submit(service, 'import time\nprint("so far", flush=True)\ntime.sleep(600)', {
      config: { memory_mb: 77 },
    });
    await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe('so far\n'), soon);
    const began = performance.now();
    expect(await kill(service, id)).toBe('killed');
    expect(performance.now() - began).toBeLessThan(1_000);
    busy = false;
    const results = (await load).filter((result): result is ExecutionResult => result !== undefined);
    for (const { stdout } of results) expect(stdout).toBe('1\n');
  });
});
