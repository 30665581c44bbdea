import { type ExecutionResult, ServiceError } from '@python-executor/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { knownId, result, type Service, type ServiceOptions, startService } from './service.js';

let service: Service;

afterEach(() => service.close());

async function start(executions: ServiceOptions['executions'] = {}) {
  service = await startService({ executions });
  return (id: string, init?: RequestInit) => fetch(`${service.url}/api/v1/executions/${id}`, init);
}

describe('GET of an execution', () => {
  test('is answered with its result', async () => {
    const asked: string[] = [];
    const get = await start({
      read: async (id) => {
        asked.push(id);
        return result;
      },
    });
    const response = await get(knownId);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(result);
    expect((await get(knownId, { method: 'HEAD' })).status).toBe(200);
    expect(asked).toEqual([knownId, knownId]);
  });

  test.each([
    ['short', 'hello, "world"\n'],
    ['at the limit of one slice', 'x'.repeat(32 * 1024 - 1)],
    ['long', 'x'.repeat(10 * 1024 * 1024)],
    ['long and of two units a character', `a${'😀'.repeat(100_000)}`],
    ['long and full of what JSON escapes', '"\\\n\u0000\u2028\ud800'.repeat(50_000)],
  ])('brings output that is %s unharmed', async (_name, output) => {
    const full: ExecutionResult = { ...result, stdout: output, stderr: `${output}!`, warnings: ['"'], result: null };
    const get = await start({ read: async () => full });
    const response = await get(knownId);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const text = await response.text();
    expect(text.isWellFormed()).toBe(true);
    expect(JSON.parse(text)).toEqual(full);
  });
});

describe('an id that does not exist', () => {
  const weird = [
    'exe_ffffffff-ffff-ffff-ffff-ffffffffffff',
    'exe_',
    'x',
    knownId.toUpperCase(),
    `${knownId}0`,
    `${knownId}%0a`,
    `..%2f${knownId}`,
    '%zz',
    '%00',
    '%F0%9F%98%80',
    'a'.repeat(10_000),
    '',
  ];

  test.each(weird)('such as %.60j is answered the same 404, and only one that could exist is looked up', async (id) => {
    const asked: string[] = [];
    const unknown = async (executionId: string): Promise<never> => {
      asked.push(executionId);
      throw new ServiceError('execution_not_found', `Cannot find execution "${executionId}"`);
    };
    const request = await start({ read: unknown, cancel: unknown });
    for (const method of ['GET', 'DELETE']) {
      const response = await request(id, { method });
      expect(response.status).toBe(404);
      const body = (await response.json()) as { error: string };
      expect(body).toEqual({ code: 'execution_not_found', error: expect.stringMatching(/^Cannot find execution "/) });
      expect(body.error.length).toBeLessThan(150);
    }
    expect(asked).toEqual(id === weird[0] ? [id, id] : []);
  });
});

describe('DELETE of an execution', () => {
  test.each(['killed', 'completed'] as const)('is answered with its final status, such as %s', async (status) => {
    const request = await start({ cancel: async () => status });
    const response = await request(knownId, { method: 'DELETE' });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status });
  });

  test('may have a body that nobody reads, and the connection goes on', async () => {
    const request = await start();
    for (let count = 0; count < 3; count += 1) {
      const init = { method: 'DELETE', body: '{}', headers: { 'content-type': 'application/json' } };
      expect((await request(knownId, init)).status).toBe(200);
    }
  });
});
