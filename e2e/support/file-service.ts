import { afterAll, beforeAll, expect, vi } from 'vitest';
import { call } from './api.js';
import { backend } from './backend.js';
import { filesBelow } from './machine.js';
import { type Service, type ServiceOptions, startService } from './service.js';

const soon = { timeout: 10_000, interval: 100 };

/**
 * Starts one service for all tests of a file, with two warm sandboxes unless `env` says otherwise. In the end it must be
 * healthy and have nothing left but warm sandboxes, and when it has stopped nothing at all.
 */
export function serviceForFile(options: Pick<ServiceOptions, 'env'> = {}): Service {
  const env = { PYEXEC_POOL_SIZE: '2', PYEXEC_POOL_MAX: '2', ...options.env };
  const warm = Number(env.PYEXEC_POOL_SIZE);
  let started: Service | undefined;
  let before: readonly string[] = [];

  beforeAll(async () => {
    before = await backend.traces();
    const service = await startService({ env });
    started = service;
    await vi.waitFor(async () => expect(await backend.sandboxes(service.ownerId)).toHaveLength(warm), soon);
  });

  afterAll(async () => {
    if (started === undefined) return;
    try {
      await expectOnlyWarm(started, Number(env.PYEXEC_POOL_MAX));
    } finally {
      await started.stop();
    }
    await expectNothing(started.ownerId, before);
  });

  const service = (): Service => {
    if (started === undefined) throw new Error('The service of this file has not started');
    return started;
  };
  return {
    get url() {
      return service().url;
    },
    get dataDir() {
      return service().dataDir;
    },
    get process() {
      return service().process;
    },
    get log() {
      return service().log;
    },
    get ownerId() {
      return service().ownerId;
    },
    residentBytes: () => service().residentBytes(),
    openFiles: () => service().openFiles(),
    crash: () => service().crash(),
    stop: () => service().stop(),
  };
}

/** A service that is healthy and idle. */
async function expectOnlyWarm(service: Service, warmMax: number): Promise<void> {
  for (const path of ['/health', '/ready']) expect((await call(service, 'GET', path)).status, path).toBe(200);
  await vi.waitFor(async () => {
    const sandboxes = await backend.sandboxes(service.ownerId);
    const about =
      sandboxes.length > warmMax ? `${await backend.describe(service.ownerId)}\n${complaintsOf(service)}` : '';
    expect(sandboxes.length, about).toBeLessThanOrEqual(warmMax);
    expect(await filesBelow(`${service.dataDir}/spool`)).toEqual([]);
  }, soon);
}

/** What the service itself found wrong, for whoever looks into a failure. */
function complaintsOf({ log }: Service): string {
  return log.filter((line) => !/^\{"level":[123]0,/.test(line)).join('\n');
}

/** A service that is gone: at once no sandbox, and soon nothing that a sandbox had. */
async function expectNothing(ownerId: string, before: readonly string[]): Promise<void> {
  expect(await backend.sandboxes(ownerId)).toEqual([]);
  await vi.waitFor(async () => {
    const after = await backend.traces();
    expect(after.filter((trace) => !before.includes(trace))).toEqual([]);
  }, soon);
}
