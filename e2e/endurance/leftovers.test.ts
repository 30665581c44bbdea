import { afterAll, beforeAll, expect, test } from 'vitest';
import { differences, slacks } from '../../bench/dist/census.js';
import { endure } from '../../bench/dist/endure.js';
import { type Service, startService, testBackend } from '../support/service.js';

const poolSize = 4;
// An engine takes the better part of a second for each.
const runs = testBackend === 'docker' ? 140 : 300;

let service: Service;

beforeAll(async () => {
  service = await startService({ env: { PYEXEC_POOL_SIZE: String(poolSize), PYEXEC_POOL_MAX: String(poolSize) } });
});

afterAll(() => service.stop());

test(`${runs} runs in a row leave no process, namespace, cgroup, mount, descriptor or file behind`, async () => {
  const { ownerId, dataDir, process, url } = service;
  const backend = testBackend === 'docker' ? 'docker' : 'oci';
  const identity = { backend, pid: process.pid as number, ownerId, dataDir, url: new URL(url) } as const;
  const { before, after, errors, firstError } = await endure(identity, { runs, clients: 4, poolSize });
  expect({ errors, firstError }).toEqual({ errors: 0, firstError: undefined });
  expect(before.sandboxes).toBe(poolSize);
  for (const item of Object.keys(slacks) as (keyof typeof slacks)[]) expect(before[item], item).not.toBeNaN();
  const differing = differences(before, after).map((item) => `${item}: ${before[item]}, then ${after[item]}`);
  expect(differing).toEqual([]);
}, 600_000);
