import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './eventually.js';
import { exchange, onlyError, RawConnection } from './raw.js';
import { result, type Service, startService } from './service.js';
import { multipartOf, multipartType, usualParts } from './upload.js';

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { headersTimeoutMs: 300 } });
});

afterAll(() => service.close());

const health = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
const lastHealth = 'GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const upload = `POST /api/v1/exec/sync HTTP/1.1\r\nHost: a\r\nContent-Type: ${multipartType}\r\n`;

describe('a request that is not valid HTTP', () => {
  test.each([
    [
      'of content length and chunked at once',
      `${upload}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'of chunked and content length at once',
      `${upload}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
    ],
    ['of two content lengths', `${upload}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`],
    ['of a negative content length', `${upload}Content-Length: -1\r\n\r\n`],
    ['of an unknown transfer encoding', `${upload}Transfer-Encoding: gzip\r\n\r\n`],
    ['of stacked transfer encodings', `${upload}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['of a chunk size that is no number', `${upload}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
    ['of a chunk that is longer than its size', `${upload}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`],
    ['of a header without a colon', 'GET /health HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n'],
    ['of a header with a blank before its colon', 'GET /health HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['of an unknown method', 'FETCH /health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['of an unknown version', 'GET /health HTTP/9.9\r\nHost: a\r\n\r\n'],
    ['of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['of a path that does not begin with a slash', 'GET health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['of TLS', Buffer.from('160301020001000001fc0303', 'hex')],
    ['of no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['of CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('because %s is answered 400 as JSON, and the connection is closed', async (_name, bytes) => {
    const responses = await exchange(service.port, bytes);
    expect(onlyError(responses)).toMatchObject({
      status: 400,
      code: 'bad_request',
      error: expect.stringMatching(/^Cannot /),
    });
    expect(responses[0]?.headers).toMatchObject({
      connection: 'close',
      'content-type': 'application/json; charset=utf-8',
    });
  });

  test('because its headers are too long is answered 431, also when the client goes on sending', async () => {
    for (const length of [20_000, 1_000_000]) {
      const responses = await exchange(
        service.port,
        `GET /health HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(length)}\r\n\r\n`,
      );
      expect(onlyError(responses)).toMatchObject({ status: 431, code: 'header_too_large' });
    }
    const path = await exchange(service.port, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(onlyError(path)).toMatchObject({ status: 431, code: 'header_too_large' });
  });

  test('because of endless chunk extensions is answered 413', async () => {
    const extension = `1;${'x'.repeat(20_000)}\r\n`;
    const responses = await exchange(service.port, `${upload}Transfer-Encoding: chunked\r\n\r\n${extension}`);
    expect(onlyError(responses)).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  test.each(['', 'GET /hea', 'GET /health HTTP/1.1\r\nHost: a\r\n'])(
    'because its headers stop after %j is answered 408 in time',
    async (bytes) => {
      const responses = await exchange(service.port, bytes);
      expect(onlyError(responses)).toMatchObject({ status: 408, code: 'request_timeout' });
    },
  );

  test('because its headers come byte by byte is answered 408 in time', async () => {
    const connection = await RawConnection.open(service.port);
    const trickle = setInterval(() => connection.socket.write('x'), 20);
    try {
      const responses = await connection.exchange('GET /health HTTP/1.1\r\nHost: a\r\nX: ');
      expect(onlyError(responses)).toMatchObject({ status: 408, code: 'request_timeout' });
    } finally {
      clearInterval(trickle);
    }
  });

  test('because of CONNECT is no danger when its client goes away in disorder', async () => {
    const connection = await RawConnection.open(service.port);
    connection.socket.write('CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => connection.received).toContain('400');
    connection.socket.resetAndDestroy();
    await eventually(() => service.connections()).toBe(0);
    expect((await fetch(`${service.url}/health`)).status).toBe(200);
  });

  test('leaves nothing of an upload that breaks off in bad chunks', async () => {
    const body = multipartOf(await usualParts()).subarray(0, 600);
    const chunk = `${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n`;
    const responses = await exchange(service.port, `${upload}Transfer-Encoding: chunked\r\n\r\n${chunk}broken\r\n`);
    expect(onlyError(responses)).toMatchObject({ status: 400, code: 'bad_request' });
    await eventually(() => service.archivesLeft()).toBe(0);
    expect(service.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
  });
});

describe('requests on one connection', () => {
  test('that are sent ahead are answered in their order', async () => {
    const body = multipartOf(await usualParts());
    const post = `${upload}Content-Length: ${body.length}\r\n\r\n${body.toString('latin1')}`;
    const unknown = 'GET /nope HTTP/1.1\r\nHost: a\r\n\r\n';
    const responses = await exchange(service.port, post + health + post + unknown + lastHealth);
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 404, 200]);
    expect(JSON.parse(responses[2]?.body ?? '')).toEqual(result);
  });

  test('go on after a short body that was refused unread', async () => {
    const refused =
      'POST /api/v1/eval HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';
    const misplaced = 'GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello';
    const responses = await exchange(service.port, refused + misplaced + lastHealth);
    expect(responses.map(({ status }) => status)).toEqual([415, 200, 200]);
  });

  test('end with a long body that nobody reads', async () => {
    const misplaced = 'GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n';
    const [response] = await exchange(service.port, misplaced);
    expect(response).toMatchObject({ status: 200, headers: { connection: 'close' } });
  });

  test('that are followed by nonsense are not answered with the fault of it', async () => {
    const slow = await startService({ executions: { read: () => new Promise(() => {}) } });
    try {
      const get = 'GET /api/v1/executions/exe_01234567-89ab-cdef-0123-456789abcdef HTTP/1.1\r\nHost: a\r\n\r\n';
      expect(await exchange(slow.port, `${get}nonsense\r\n\r\n`)).toEqual([]);
    } finally {
      await slow.close();
    }
  });

  test('by the dozen leak no listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const connection = await RawConnection.open(service.port);
    const get = 'GET /ready HTTP/1.1\r\nHost: a\r\n\r\n';
    await connection.exchange(get.repeat(50) + lastHealth);
    expect(connection.responses()).toHaveLength(51);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('of HTTP/1.0 need no Host', async () => {
    const [response] = await exchange(service.port, 'GET /health HTTP/1.0\r\n\r\n');
    expect(response).toMatchObject({ status: 200, body: '{"status":"ok"}' });
  });

  test('beyond the permitted number of connections are not accepted', async () => {
    const narrow = await startService({ config: { connectionsMax: 1 } });
    try {
      const first = await RawConnection.open(narrow.port);
      const second = await RawConnection.open(narrow.port);
      if (!second.closed) await once(second.socket, 'close');
      expect(await first.exchange(lastHealth)).toMatchObject([{ status: 200 }]);
    } finally {
      await narrow.close();
    }
  });
});
