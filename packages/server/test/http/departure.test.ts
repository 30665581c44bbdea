import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionResult } from '@python-executor/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from './eventually.js';
import { RawConnection } from './raw.js';
import { knownId, result, type Service, startService } from './service.js';
import { multipartOf, multipartType, tarOf, usualParts } from './upload.js';

let service: Service;

afterEach(() => service.close());

interface Run {
  readonly signal: AbortSignal;
  finish(): void;
}

/** A service whose runs go on until they are told to finish or their client goes away. */
async function startWithRuns(): Promise<Run[]> {
  const runs: Run[] = [];
  service = await startService({
    executions: {
      runToEnd: async ({ archive }, { signal }) => {
        await archive.dispose();
        return new Promise<ExecutionResult>((resolve, reject) => {
          runs.push({ signal, finish: () => resolve(result) });
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      },
    },
  });
  return runs;
}

async function uploadRequest(): Promise<Buffer> {
  const body = multipartOf(await usualParts());
  const head = `POST /api/v1/exec/sync HTTP/1.1\r\nHost: a\r\nContent-Type: ${multipartType}\r\n`;
  return Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
}

const evalBody = '{"code":"1"}';
const evalRequest = `POST /api/v1/eval HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${evalBody.length}\r\n\r\n${evalBody}`;

describe('a client that goes away while its code runs', () => {
  test.each([
    ['by closing the connection', (connection: RawConnection) => connection.socket.end()],
    ['by resetting it', (connection: RawConnection) => connection.socket.resetAndDestroy()],
  ])('%s aborts the run, and nothing is logged as a fault', async (_name, leave) => {
    const runs = await startWithRuns();
    for (const request of [await uploadRequest(), evalRequest]) {
      const connection = await RawConnection.open(service.port);
      connection.socket.write(request);
      await eventually(() => runs.length).toBe(1);
      const [run] = runs.splice(0) as [Run];
      expect(run.signal.aborted).toBe(false);
      leave(connection);
      await once(run.signal, 'abort');
      expect(run.signal.reason).toMatchObject({ name: 'ClientGoneError' });
    }
    expect(service.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });

  test('gets no answer, however long the one is that was made for it', async () => {
    const killed = { ...result, status: 'killed' as const, stdout: 'x'.repeat(1_000_000) };
    let left: AbortSignal | undefined;
    service = await startService({
      executions: {
        runToEnd: async ({ archive }, { signal }) => {
          await archive.dispose();
          left = signal;
          await once(signal, 'abort');
          return killed;
        },
      },
    });
    const connection = await RawConnection.open(service.port);
    connection.socket.write(evalRequest);
    await eventually(() => left).toBeDefined();
    connection.socket.destroy();
    await eventually(() => left?.aborted).toBe(true);
    await eventually(() => service.connections()).toBe(0);
    expect((await fetch(`${service.url}/health`)).status).toBe(200);
    expect(service.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });

  test('aborts all that it had sent ahead', async () => {
    const runs = await startWithRuns();
    const connection = await RawConnection.open(service.port);
    connection.socket.write(evalRequest.repeat(20));
    await eventually(() => runs.length).toBe(20);
    connection.socket.destroy();
    await eventually(() => runs.every(({ signal }) => signal.aborted)).toBe(true);
  });
});

describe('a client that stays', () => {
  test('has nothing aborted, and its connection keeps no trace of earlier requests', async () => {
    const runs = await startWithRuns();
    const connection = await RawConnection.open(service.port);
    const warnings: Error[] = [];
    process.on('warning', (warning) => warnings.push(warning));
    for (let count = 1; count <= 30; count += 1) {
      connection.socket.write(evalRequest);
      await eventually(() => runs.length).toBe(count);
      runs.at(-1)?.finish();
      await eventually(() => connection.responses().length).toBe(count);
    }
    connection.socket.destroy();
    await once(connection.socket, 'close');
    // A request of another connection is answered after the server has seen the close of this one.
    await eventually(async () => (await fetch(`${service.url}/health`)).status).toBe(200);
    expect(runs.some(({ signal }) => signal.aborted)).toBe(false);
    expect(warnings).toEqual([]);
  });
});

describe('a client that goes away during its upload', () => {
  async function beginUpload(bytesSent: number): Promise<RawConnection> {
    service = await startService();
    const content = await tarOf({ 'a.bin': Buffer.alloc(4_000_000, 1) });
    const body = multipartOf([{ name: 'tar', filename: 'a.tar', content }, ...(await usualParts()).slice(1)]);
    const connection = await RawConnection.open(service.port);
    const head = `POST /api/v1/exec/async HTTP/1.1\r\nHost: a\r\nContent-Type: ${multipartType}\r\n`;
    connection.socket.write(`${head}Content-Length: ${body.length}\r\n\r\n`);
    connection.socket.write(body.subarray(0, bytesSent));
    return connection;
  }

  test('has nothing handed over and its spool file removed', async () => {
    const connection = await beginUpload(2_000_000);
    await eventually(() => service.archivesLeft()).toBe(1);
    connection.socket.resetAndDestroy();
    await eventually(() => service.archivesLeft()).toBe(0);
    expect(service.requests).toEqual([]);
    expect(service.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });

  test('has nothing handed over when next to nothing came', async () => {
    const connection = await beginUpload(100);
    await eventually(() => service.connections()).toBe(1);
    connection.socket.end();
    await eventually(() => service.connections()).toBe(0);
    expect(service.requests).toEqual([]);
    expect(service.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });
});

describe('a client that does not take its answer', () => {
  test('has its connection closed', async () => {
    service = await startService({
      config: { bodyIdleTimeoutMs: 200 },
      executions: { read: async () => ({ ...result, stdout: 'x'.repeat(20_000_000) }) },
    });
    const connection = await RawConnection.open(service.port);
    connection.socket.pause();
    connection.socket.write(`GET /api/v1/executions/${knownId} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await eventually(() => service.connections()).toBe(1);
    await eventually(() => service.connections()).toBe(0);
    connection.socket.destroy();
  });

  test('although it is slow gets all of it, and the next request may take longer than that', async () => {
    service = await startService({
      config: { bodyIdleTimeoutMs: 300 },
      executions: {
        read: async () => ({ ...result, stdout: 'x'.repeat(1_000_000) }),
        checkReady: () => delay(600, { running: 0, waiting: 0 }),
      },
    });
    const connection = await RawConnection.open(service.port);
    connection.socket.write(
      `GET /api/v1/executions/${knownId} HTTP/1.1\r\nHost: a\r\n\r\nGET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    await once(connection.socket, 'close');
    expect(connection.received).toContain('{"status":"ready",');
  });
});
