import { ServiceError } from '@python-executor/contract';
import { afterEach, expect, test } from 'vitest';
import { type Service, startService } from './service.js';

let service: Service;

afterEach(() => service.close());

test('/health is answered 200 even while nothing can be run', async () => {
  service = await startService({ executions: { checkReady: () => Promise.reject(new Error('down')) } });
  const response = await fetch(`${service.url}/health`);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: 'ok' });
});

test('/ready is answered 200 when something could be run', async () => {
  service = await startService();
  const response = await fetch(`${service.url}/ready`);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: 'ready', running: 0, waiting: 0 });
});

test('/ready is answered 503 with the reason when nothing can be run', async () => {
  const reason = new ServiceError('engine_unavailable', 'Cannot run anything: the engine is down');
  service = await startService({ executions: { checkReady: () => Promise.reject(reason) } });
  const response = await fetch(`${service.url}/ready`);
  expect(response.status).toBe(503);
  expect(response.headers.has('retry-after')).toBe(true);
  expect(await response.json()).toEqual({ error: reason.message, code: 'engine_unavailable' });
});
