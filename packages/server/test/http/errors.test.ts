import { errorStatus, ServiceError } from '@python-executor/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { exchange, onlyError } from './raw.js';
import { knownId, type Service, startService } from './service.js';

let service: Service;

afterEach(() => service.close());

async function readThatThrows(error: unknown) {
  service = await startService({ executions: { read: () => Promise.reject(error) } });
  return fetch(`${service.url}/api/v1/executions/${knownId}`);
}

describe('an error of the service', () => {
  test.each(Object.entries(errorStatus))('%s is answered %i', async (code, status) => {
    const response = await readThatThrows(new ServiceError(code as keyof typeof errorStatus, 'Cannot do it'));
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.json()).toEqual({ error: 'Cannot do it', code });
    expect(response.headers.has('retry-after')).toBe(status === 503);
  });

  test('says when to come back, in whole seconds', async () => {
    const response = await readThatThrows(new ServiceError('queue_full', 'Full', { retryAfterSeconds: 1.2 }));
    expect(response.headers.get('retry-after')).toBe('2');
  });

  test('that is none of its own is answered 500 without a word of it, and logged', async () => {
    const response = await readThatThrows(new TypeError('secret detail'));
    expect(response.status).toBe(500);
    const body = await response.json();
    expect(body).toMatchObject({ code: 'internal' });
    expect(JSON.stringify(body)).not.toContain('secret');
    expect(service.log.filter(({ level }) => level === 50)).toMatchObject([
      { err: { message: 'secret detail' }, method: 'GET', route: '/api/v1/executions/:id' },
    ]);
  });

  test.each(['what', null, undefined, 0])('that is not even an Error but %j is answered 500', async (error) => {
    const response = await readThatThrows(error);
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ code: 'internal' });
  });
});

describe('a path or method that does not exist', () => {
  test.each(['/', '/nope', '/api/v1/exec', '/health/', '/api/v1/exec/sync/x', '/%41?x=%zz'])(
    'GET %s is answered 404 not_found',
    async (path) => {
      service = await startService();
      const response = await fetch(service.url + path);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: 'not_found' });
    },
  );

  test.each([
    ['GET', '/api/v1/exec/sync', 'OPTIONS, POST'],
    ['PUT', '/api/v1/exec/async', 'OPTIONS, POST'],
    ['DELETE', '/api/v1/eval?x', 'OPTIONS, POST'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
    ['PROPFIND', '/ready', 'GET, HEAD, OPTIONS'],
    ['PATCH', `/api/v1/executions/${knownId}`, 'DELETE, GET, HEAD, OPTIONS'],
  ])('%s %s is answered 405 method_not_allowed and told the others', async (method, path, allow) => {
    service = await startService();
    const response = await fetch(service.url + path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow);
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' });
  });

  test('with a long body is told the others all the same', async () => {
    service = await startService();
    const head = 'PUT /api/v1/eval HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n';
    const responses = await exchange(service.port, Buffer.concat([Buffer.from(head), Buffer.alloc(1_000_000)]));
    expect(onlyError(responses)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(responses[0]?.headers.allow).toBe('OPTIONS, POST');
  });

  test('OPTIONS of a known path is answered 204 with its methods', async () => {
    service = await startService();
    const response = await fetch(`${service.url}/api/v1/eval`, { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(response.headers.get('allow')).toBe('OPTIONS, POST');
  });

  test('HEAD is answered like GET, without a body', async () => {
    service = await startService();
    const health = await fetch(`${service.url}/health`, { method: 'HEAD' });
    expect([health.status, await health.text()]).toEqual([200, '']);
    const unknown = await fetch(`${service.url}/nope`, { method: 'HEAD' });
    expect([unknown.status, await unknown.text()]).toEqual([404, '']);
  });

  test('a path that is not properly encoded is answered 400', async () => {
    service = await startService();
    const [response] = await exchange(service.port, 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(onlyError(response === undefined ? [] : [response])).toMatchObject({ status: 400, code: 'bad_request' });
  });
});
