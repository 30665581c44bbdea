import { describe, expect, test, vi } from 'vitest';
import { kill, read, refusalOf, run, submit, upload } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile({ env: { PYEXEC_MAX_CONCURRENT: '1', PYEXEC_MAX_QUEUE: '2' } });
const soon = { timeout: 10_000, interval: 20 };
const sleeper = 'import time\nprint("so far", flush=True)\ntime.sleep(60)';

async function occupy(): Promise<string> {
  const id = await submit(service, sleeper);
  await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe('so far\n'), soon);
  return id;
}

describe('a full queue', () => {
  test('refuses with 503 and says when to come back, and takes more as soon as there is room', async () => {
    const ids = [await occupy(), await submit(service, 'print(1)'), await submit(service, 'print(2)')];
    for (const delivery of ['sync', 'async'] as const) {
      const answer = await upload(service, delivery, 'print("too many")');
      expect(refusalOf(answer)).toMatchObject({ status: 503, code: 'queue_full' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(await kill(service, ids[1] as string)).toBe('killed');
    ids.push(await submit(service, 'print(3)'));
    await kill(service, ids[0] as string);
    await vi.waitFor(async () => expect((await read(service, ids[3] as string)).stdout).toBe('3\n'), soon);
    expect((await read(service, ids[2] as string)).stdout).toBe('2\n');
  });

  test('holds when twenty come at once', async () => {
    const first = await occupy();
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload(service, 'async', 'print("in")')));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(2).fill(202), ...Array(18).fill(503)]);
    await kill(service, first);
    for (const { status, body } of answers) {
      if (status !== 202) continue;
      const { execution_id: id } = body as { execution_id: string };
      await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe('in\n'), soon);
    }
    expect(await run(service, 'print("free")')).toMatchObject({ stdout: 'free\n' });
  });

  test('runs what came first, first', async () => {
    const first = await occupy();
    const waiting = [await submit(service, 'print(1)'), await submit(service, 'print(2)')];
    await kill(service, first);
    const results = await Promise.all(
      waiting.map((id) =>
        vi.waitFor(async () => {
          const result = await read(service, id);
          expect(result.status).toBe('completed');
          return result;
        }, soon),
      ),
    );
    const [one, two] = results.map(({ started_at }) => Date.parse(started_at ?? ''));
    expect(one).toBeLessThan(two as number);
  });
});
