import { expect, test } from 'vitest';
import { call, run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { testBackend } from '../support/service.js';

const service = serviceForFile();
const way = testBackend === 'oci' && process.env.PYEXEC_TEST_ZYGOTE !== 'off' ? 'zygote' : 'container';

async function metrics(): Promise<string> {
  const response = await fetch(`${service.url}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return await response.text();
}

test('/metrics counts what has run and where its sandboxes came from', async () => {
  await run(service, 'print(1)');
  await run(service, 'import time\ntime.sleep(60)', { config: { timeout_seconds: 1 } });
  const text = await metrics();
  expect(text).toContain('python_executor_executions_total{status="completed",reason="exit"} 1\n');
  expect(text).toContain('python_executor_executions_total{status="failed",reason="timeout"} 1\n');
  const [hits = 0, misses = 0] = ['hits', 'misses'].map((name) => sampleOf(text, `python_executor_pool_${name}_total`));
  expect(hits + misses).toBe(2);
  expect(sampleOf(text, 'python_executor_sandbox_making_seconds_count')).toBeGreaterThanOrEqual(2);
  expect(sampleOf(text, 'python_executor_zygotes')).toBe(way === 'zygote' ? 1 : 0);
  const forks = sampleOf(text, 'python_executor_zygote_forks_total{outcome="made"}');
  if (way === 'zygote') expect(forks).toBeGreaterThanOrEqual(2);
  else expect(forks).toBeNaN();
});

function sampleOf(text: string, sample: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? Number.NaN : Number(line.slice(sample.length));
}

test('/ready says how sandboxes are made', async () => {
  const { body } = await call(service, 'GET', '/ready');
  expect(body).toMatchObject({
    sandboxes: { backend: testBackend, runtime: expect.stringMatching(/./), way, why: expect.stringMatching(/./) },
  });
});
