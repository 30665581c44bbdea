import { expect, test } from 'vitest';
import { createMetrics } from '../../dist/metrics/metrics.js';
import { codeOf, readDocument, rowsOf, sectionOf } from '../docs/document.js';

const atRest = { running: 0, waiting: 0, sandboxes: { ready: 0, making: 0, hits: 0, misses: 0 } };

/** The value of a sample, by its name with its labels. */
async function valuesOf(metrics = createMetrics(), levels = atRest): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.render(levels)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('executions are counted by status and reason', async () => {
  const metrics = createMetrics();
  metrics.executions.onEnded({ status: 'completed', termination: { reason: 'exit', phase: 'run' } });
  metrics.executions.onEnded({ status: 'completed', termination: { reason: 'exit', phase: 'run' } });
  metrics.executions.onEnded({ status: 'failed', termination: { reason: 'timeout', phase: 'run' } });
  const values = await valuesOf(metrics);
  expect(values.get('python_executor_executions_total{status="completed",reason="exit"}')).toBe(2);
  expect(values.get('python_executor_executions_total{status="failed",reason="timeout"}')).toBe(1);
});

test('the pool is counted, with the age of what it hands out and the time that making takes', async () => {
  const metrics = createMetrics();
  metrics.pool.onHit(500);
  metrics.pool.onMiss();
  metrics.pool.onMade(20);
  const values = await valuesOf(metrics, {
    running: 3,
    waiting: 5,
    sandboxes: { ready: 7, making: 2, hits: 1, misses: 1 },
  });
  expect(Object.fromEntries(values)).toMatchObject({
    python_executor_pool_hits_total: 1,
    python_executor_pool_misses_total: 1,
    'python_executor_pool_sandbox_age_seconds_bucket{le="0.1"}': 0,
    'python_executor_pool_sandbox_age_seconds_bucket{le="1"}': 1,
    python_executor_sandbox_making_seconds_sum: 0.02,
    python_executor_sandboxes_waiting: 7,
    python_executor_sandboxes_making: 2,
    python_executor_executions_running: 3,
    python_executor_executions_waiting: 5,
  });
});

test('of zygotes those count that are alive, and the age of the youngest', async () => {
  const metrics = createMetrics();
  const nowMs = performance.now();
  metrics.zygotes.onStarted({ alive: false, bornMs: nowMs });
  metrics.zygotes.onStarted({ alive: true, bornMs: nowMs - 60_000 });
  metrics.zygotes.onStarted({ alive: true, bornMs: nowMs - 10_000 });
  metrics.zygotes.onForked();
  metrics.zygotes.onForkFailed();
  metrics.zygotes.onReplaced('memory');
  const values = await valuesOf(metrics);
  expect(Object.fromEntries(values)).toMatchObject({
    python_executor_zygotes: 2,
    'python_executor_zygote_forks_total{outcome="made"}': 1,
    'python_executor_zygote_forks_total{outcome="failed"}': 1,
    'python_executor_zygotes_replaced_total{cause="memory"}': 1,
  });
  expect(values.get('python_executor_zygote_age_seconds')).toBeCloseTo(10, 0);
});

test('two servers in one process count apart', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.pool.onMiss();
  expect((await valuesOf(one)).get('python_executor_pool_misses_total')).toBe(1);
  expect((await valuesOf(other)).get('python_executor_pool_misses_total')).toBe(0);
});

test('the documentation has every metric, with its type', async () => {
  const documented = rowsOf(sectionOf(readDocument('docs/http-api.md'), '### GET /metrics'));
  const text = await createMetrics().render(atRest);
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
  expect(documented.map(([name, type]) => [codeOf(name), type]).sort()).toEqual(types.sort());
});
