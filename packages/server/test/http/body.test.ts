import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, type TestContext, test } from 'vitest';
import { eventually } from './eventually.js';
import { exchange, onlyError, RawConnection } from './raw.js';
import { type Service, type ServiceOptions, startService } from './service.js';
import { multipartOf, multipartType, type Part, tarOf, usualParts } from './upload.js';

const path = 'POST /api/v1/exec/sync HTTP/1.1\r\nHost: a\r\n';
const upload = `${path}Content-Type: ${multipartType}\r\n`;
const megabyte = 1024 * 1024;

/** A service of its own for every test: they run side by side, as most of them wait. */
async function start({ onTestFinished }: TestContext, options: ServiceOptions): Promise<Service> {
  const service = await startService(options);
  onTestFinished(() => service.close());
  return service;
}

async function connect(context: TestContext, config: ServiceOptions['config'] = {}) {
  const service = await start(context, { config });
  return { service, connection: await RawConnection.open(service.port) };
}

describe.concurrent('a body that is too large', () => {
  test('by its own account is answered 413 before it is sent', async (context) => {
    const { connection } = await connect(context, { bodyBytesMax: 1000 });
    const responses = await connection.exchange(`${upload}Content-Length: 1001\r\n\r\n`);
    expect(onlyError(responses)).toMatchObject({ status: 413, code: 'payload_too_large' });
    expect(responses[0]?.headers).toMatchObject({ connection: 'close' });
  });

  test('is answered 413 to a client that sends all of it before it listens', async (context) => {
    const service = await start(context, { config: { bodyBytesMax: megabyte } });
    const body = Buffer.alloc(20 * megabyte);
    const responses = await exchange(
      service.port,
      Buffer.concat([Buffer.from(`${upload}Content-Length: ${body.length}\r\n\r\n`), body]),
    );
    expect(onlyError(responses)).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  test('in chunks is answered 413 once it is, and nothing of it is left', async (context) => {
    const { service, connection } = await connect(context, { bodyBytesMax: megabyte });
    const content = await tarOf({ 'a.bin': Buffer.alloc(2 * megabyte) });
    const body = multipartOf([{ name: 'tar', filename: 'a.tar', content }]);
    const chunks = Array.from({ length: Math.ceil(body.length / 65_536) }, (_, index) => {
      const chunk = body.subarray(index * 65_536, (index + 1) * 65_536);
      return Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
    });
    const responses = await connection.exchange(
      Buffer.concat([Buffer.from(`${upload}Transfer-Encoding: chunked\r\n\r\n`), ...chunks]),
    );
    expect(onlyError(responses)).toMatchObject({ status: 413, code: 'payload_too_large' });
    expect(await service.archivesLeft()).toBe(0);
  });

  test('is answered 413 instead of 100 to a client that asks first', async (context) => {
    const { connection } = await connect(context, { bodyBytesMax: 1000 });
    const responses = await connection.exchange(`${upload}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n`);
    expect(onlyError(responses)).toMatchObject({ status: 413, code: 'payload_too_large' });
  });
});

describe.concurrent('a client that asks before it sends', () => {
  test('is told to go on', async (context) => {
    const { connection } = await connect(context, {});
    const body = multipartOf(await usualParts());
    connection.socket.write(
      `${upload}Content-Length: ${body.length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
    );
    await eventually(() => connection.received).toContain('HTTP/1.1 100 Continue\r\n\r\n');
    const responses = await connection.exchange(body);
    expect(responses.map(({ status }) => status)).toEqual([100, 200]);
  });

  test('is told at once what else is wrong', async (context) => {
    const { connection } = await connect(context, {});
    const responses = await connection.exchange(
      `${path}Content-Type: text/plain\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect(responses.map(({ status }) => status)).toEqual([415]);
  });
});

describe.concurrent('a body that is too slow', () => {
  test('because it stops is answered 408 and the connection closed, while /health answers at once', async (context) => {
    const { service, connection } = await connect(context, { bodyIdleTimeoutMs: 300 });
    const body = multipartOf(await usualParts());
    const closed = connection.exchange(
      Buffer.concat([Buffer.from(`${upload}Content-Length: ${body.length}\r\n\r\n`), body.subarray(0, 500)]),
    );
    const startedAt = performance.now();
    expect((await fetch(`${service.url}/health`)).status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(250);
    expect(onlyError(await closed)).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(await service.archivesLeft()).toBe(0);
  });

  test('because it never begins is answered 408', async (context) => {
    const { connection } = await connect(context, { bodyIdleTimeoutMs: 200 });
    const responses = await connection.exchange(`${upload}Content-Length: 1000\r\n\r\n`);
    expect(onlyError(responses)).toMatchObject({ status: 408, code: 'request_timeout' });
  });

  test('because it trickles is answered 408, for JSON as well', async (context) => {
    const { connection } = await connect(context, { bodyIdleTimeoutMs: 300, bodyBytesPerSecondMin: 1000 });
    const trickle = setInterval(() => connection.socket.write('x'), 30);
    try {
      const responses = await connection.exchange(
        'POST /api/v1/eval HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n',
      );
      expect(onlyError(responses)).toMatchObject({ status: 408, code: 'request_timeout' });
    } finally {
      clearInterval(trickle);
    }
  });

  test('because it trickles after a burst is answered 408 before the burst is used up', async (context) => {
    const { connection } = await connect(context, { bodyIdleTimeoutMs: 100, bodyBytesPerSecondMin: 100 });
    const content = await tarOf({ 'a.bin': Buffer.alloc(megabyte) });
    const body = multipartOf([{ name: 'tar', filename: 'a.tar', content }]);
    const trickle = setInterval(() => connection.socket.write('x'), 30);
    try {
      const responses = await connection.exchange(
        Buffer.concat([Buffer.from(`${upload}Content-Length: ${2 * body.length}\r\n\r\n`), body.subarray(0, megabyte)]),
      );
      expect(onlyError(responses)).toMatchObject({ status: 408, code: 'request_timeout' });
    } finally {
      clearInterval(trickle);
    }
  });
});

describe.concurrent('a body that is slow', () => {
  test('but honest gets through, for longer than the idle time', async (context) => {
    const { connection } = await connect(context, { bodyIdleTimeoutMs: 200, bodyBytesPerSecondMin: 1000 });
    const body = multipartOf(await usualParts());
    connection.socket.write(`${upload}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`);
    const closed = once(connection.socket, 'close');
    for (let at = 0; at < body.length; at += 200) {
      connection.socket.write(body.subarray(at, at + 200));
      await delay(60);
    }
    await closed;
    expect(connection.responses().map(({ status }) => status)).toEqual([200]);
  });

  test('because the service itself takes its time gets through', async (context) => {
    let resumed = false;
    const service = await start(context, {
      config: { bodyIdleTimeoutMs: 150 },
      receiveArchive: (receive) => async (source) => {
        await delay(500);
        resumed = true;
        return receive(source);
      },
    });
    const [, metadata] = (await usualParts()) as [Part, Part];
    const content = await tarOf({ 'a.bin': Buffer.alloc(4 * megabyte) });
    const body = multipartOf([{ name: 'tar', filename: 'a.tar', content }, metadata]);
    const headers = { 'content-type': multipartType };
    const response = await fetch(`${service.url}/api/v1/exec/sync`, { method: 'POST', body, headers });
    expect([resumed, response.status]).toEqual([true, 200]);
  });
});
