import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { call, postParts, refusalOf, refused, run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { filesBelow } from '../support/machine.js';
import { endOfParts, multipartOf, multipartType, partHeader, uploadParts } from '../support/multipart.js';
import { encodeEntry, endOfTar, tarOfFiles } from '../support/tar.js';

const service = serviceForFile({
  env: {
    PYEXEC_ALLOWED_IMAGES: 'python:3.11-slim missing.invalid/*',
    PYEXEC_MAX_BODY_MB: '20',
    PYEXEC_PULL_TIMEOUT: '10',
    PYEXEC_HEADERS_TIMEOUT: '2',
    PYEXEC_BODY_IDLE_TIMEOUT: '2',
  },
});
const growthBytesMax = 64 * 1024 * 1024;
const hello = { 'main.py': 'print("ran")' };

describe('9: config', () => {
  test('without a word about the network gives none', async () => {
    const program = 'import os; print(os.listdir("/sys/class/net"))';
    expect((await run(service, program)).stdout).toBe("['lo']\n");
  });

  test.each([
    ['network_disabled', null],
    ['network_disabled', 'false'],
    ['network_disabled', 0],
    ['timeout_seconds', -1],
    ['timeout_seconds', 1.5],
    ['timeout_seconds', 'x'],
    ['timeout_seconds', '5'],
    ['timeout_seconds', null],
    ['timeout_seconds', true],
    ['timeout_seconds', 3_601],
    ['timeout_seconds', 1e300],
    ['memory_mb', 8_193],
    ['memory_mb', -1],
    ['disk_mb', 10_241],
    ['disk_mb', [64]],
    ['cpu_shares', 262_145],
    ['cpu_shares', {}],
  ])('with %s %j is refused by name', async (field, value) => {
    const { status, code, error } = await refused(service, hello, { config: { [field]: value } });
    expect([status, code]).toEqual([400, 'invalid_config']);
    expect(error).toContain(field);
  });

  test.each(['null', '[]', '"x"', '5'])('that is %s is refused', async (config) => {
    const { status, code } = await refused(service, hello, `{"config":${config}}`);
    expect([status, code]).toEqual([400, 'invalid_config']);
  });

  test('of zeros is the default', async () => {
    const config = { timeout_seconds: 0, memory_mb: 0, disk_mb: 0, cpu_shares: 0 };
    expect(await run(service, hello, { config })).toMatchObject({ status: 'completed', stdout: 'ran\n' });
  });
});

describe('10: the entrypoint', () => {
  test.each(['../x', '/etc/passwd', '/work/main.py', 'a/../../x', '-c', 'main.py\n'])(
    '%j is refused',
    async (entrypoint) => {
      const { status, code } = await refused(service, hello, { entrypoint });
      expect([status, code]).toEqual([400, 'invalid_entrypoint']);
    },
  );

  test.each(['other.py', 'dir', '.'])('%j that is not in the archive is refused', async (entrypoint) => {
    const { status, code } = await refused(service, { ...hello, 'dir/x.py': '' }, { entrypoint });
    expect([status, code]).toEqual([400, 'entrypoint_not_found']);
  });

  test('with a name for a shell is a name', async () => {
    const entrypoint = '$(touch x); echo "a b".py';
    const program = { [entrypoint]: 'import os, sys; print(sys.argv, os.listdir())' };
    expect((await run(service, program, { entrypoint })).stdout).toContain(`[${pythonOf(entrypoint)}]`);
  });

  test('gets its arguments literally', async () => {
    const args = ['; rm -rf /', '$(id)', '`id`', '', '-c', '--help', "'", 'ü\n'];
    const { stdout } = await run(service, 'import json, sys; print(json.dumps(sys.argv[1:]))', { script_args: args });
    expect(JSON.parse(stdout)).toEqual(args);
  });
});

function pythonOf(text: string): string {
  return text.includes("'") ? JSON.stringify(text) : `'${text}'`;
}

describe('11: an image', () => {
  test.each(['evil:latest', 'python:3.11-slim@sha256:0', 'docker.io/evil/python', 'PYTHON:3.11-slim'])(
    'that is not allowed is refused, and nothing is pulled: %s',
    async (docker_image) => {
      const { status, code, error } = await refused(service, hello, { docker_image });
      expect([status, code]).toEqual([403, 'image_not_allowed']);
      expect(error).toContain(docker_image);
    },
  );

  test('that is allowed and does not exist fails within its own time limit', async () => {
    const began = Date.now();
    const result = await run(service, hello, { docker_image: 'missing.invalid/image:1' });
    expect(result).toMatchObject({ status: 'failed', exit_code: 125, termination: { reason: 'image_unavailable' } });
    expect(result.error).toContain('"missing.invalid/image:1" is not available');
    expect(Date.now() - began).toBeLessThan(12_000);
  });
});

/** A connection on which a test says exactly what it wants. */
async function open(...head: readonly string[]): Promise<Socket> {
  const { port } = new URL(service.url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write(head.map((line) => `${line}\r\n`).join(''));
  return socket;
}

/** Everything that the service says until it closes the connection. */
async function answerOn(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

function bodyOf(answer: string): unknown {
  return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1));
}

const post = ['POST /api/v1/exec/sync HTTP/1.1', 'host: x', `content-type: ${multipartType}`];

describe.concurrent('12: a body', () => {
  test('that announces too much is refused before it is sent', async () => {
    const answer = await answerOn(await open(...post, `content-length: ${21 * 1024 * 1024}`, ''));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(bodyOf(answer)).toMatchObject({ code: 'payload_too_large' });
  });

  test('that is chunked and never ends is refused, and memory stays flat', async () => {
    const before = await service.residentBytes();
    const socket = await open(...post, 'transfer-encoding: chunked', '');
    const answered = answerOn(socket);
    const send = (bytes: Buffer | string) =>
      socket.write(
        Buffer.concat([
          Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`),
          Buffer.from(bytes),
          Buffer.from('\r\n'),
        ]),
      );
    send(partHeader({ name: 'tar', filename: 'x' }));
    send(encodeEntry({ name: 'big', size: '77777777777\0' }).subarray(0, 512));
    const piece = Buffer.alloc(256 * 1024, 'x');
    for (let sent = 0; sent < 30 * 1024 * 1024 && socket.writable; sent += piece.length) {
      if (!send(piece)) await Promise.race([once(socket, 'drain'), answered]);
    }
    const answer = await answered;
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect((await service.residentBytes()) - before).toBeLessThan(growthBytesMax);
  });

  test.each<[string, readonly string[]]>([
    ['headers that never end', ['POST /api/v1/exec/sync HTTP/1.1', 'host: x']],
    ['nothing of the body that was announced', [...post, 'content-length: 1000', '']],
    ['one byte a second', [...post, 'content-length: 100000', '']],
  ])('that comes as %s is closed, and others are served meanwhile', async (name, head) => {
    const began = Date.now();
    const socket = await open(...head);
    const trickle = setInterval(() => name.startsWith('one') && socket.write('x'), 500);
    const closed = answerOn(socket);
    const health: number[] = [];
    while (!socket.closed && Date.now() - began < 10_000) {
      const asked = performance.now();
      expect((await call(service, 'GET', '/health')).status).toBe(200);
      health.push(performance.now() - asked);
      await Promise.race([closed, delay(100)]);
    }
    clearInterval(trickle);
    await closed;
    expect(Date.now() - began).toBeLessThan(9_000);
    expect(health.sort((one, other) => one - other).at(Math.floor(health.length * 0.9))).toBeLessThan(100);
  });

  test('that ends with its connection leaves nothing behind', async () => {
    const socket = await open(...post, 'content-length: 10000000', '');
    socket.write(partHeader({ name: 'tar', filename: 'x' }));
    socket.write(encodeEntry({ name: 'big', content: Buffer.alloc(3_000_000, 'x') }).subarray(0, 2_000_000));
    const spool = () => filesBelow(`${service.dataDir}/spool`);
    await vi.waitFor(async () => expect(await spool()).not.toEqual([]), { timeout: 5_000, interval: 20 });
    socket.destroy();
    await vi.waitFor(async () => expect(await spool()).toEqual([]), { timeout: 5_000, interval: 20 });
  });

  test('that is honest and slow gets through', async () => {
    const [tar, metadata] = uploadParts(tarOfFiles({ 'main.py': `print("ran")\n#${'x'.repeat(20_000)}` })) as never[];
    const body = multipartOf([tar, metadata] as never);
    const socket = await open(...post, `content-length: ${body.length}`, 'connection: close', '');
    const answered = answerOn(socket);
    for (let at = 0; at < body.length; at += 2048) {
      socket.write(body.subarray(at, at + 2048));
      await delay(250);
    }
    expect(bodyOf(await answered)).toMatchObject({ status: 'completed', stdout: 'ran\n' });
  });
});

describe('13: a multipart body', () => {
  const tar = { name: 'tar', filename: 'x.tar', content: tarOfFiles(hello) };
  const metadata = { name: 'metadata', content: '{}' };

  test.each([
    ['two archives', [tar, tar, metadata]],
    ['two of metadata', [tar, metadata, metadata]],
    ['no archive', [metadata]],
    ['no metadata', [tar]],
    ['nothing', []],
    [
      '10,000 parts',
      [...Array.from({ length: 10_000 }, (_, index) => ({ name: `p${index}`, content: '' })), tar, metadata],
    ],
  ])('of %s is refused', async (_name, parts) => {
    const { status, code } = refusalOf(await postParts(service, 'sync', parts));
    expect([status, code]).toEqual([400, 'invalid_multipart']);
  });

  test('that ends early is refused', async () => {
    const body = multipartOf([tar, metadata]);
    const cut = body.subarray(0, body.length - endOfParts.length - 4);
    const { status, code } = refusalOf(
      await call(service, 'POST', '/api/v1/exec/sync', { body: cut, type: multipartType }),
    );
    expect([status, code]).toEqual([400, 'invalid_multipart']);
  });

  test.each(['', '; boundary=', `; boundary=${'x'.repeat(71)}`])(
    'without a usable boundary is refused: %s',
    async (parameters) => {
      const type = `multipart/form-data${parameters}`;
      const { status, code } = refusalOf(
        await call(service, 'POST', '/api/v1/exec/sync', { body: multipartOf([tar, metadata]), type }),
      );
      expect([status, code]).toEqual([400, 'invalid_multipart']);
    },
  );

  test.each(['application/json', 'text/plain', 'application/x-tar'])('that is %s instead is refused', async (type) => {
    const { status, code } = refusalOf(await call(service, 'POST', '/api/v1/exec/sync', { body: '{}', type }));
    expect([status, code]).toEqual([415, 'unsupported_media_type']);
  });

  test.each([
    ['both lengths', ['content-length: 5', 'transfer-encoding: chunked']],
    ['two lengths', ['content-length: 5', 'content-length: 6']],
    ['an unknown transfer encoding', ['transfer-encoding: gzip, chunked']],
    ['a length that is no number', ['content-length: 5x']],
  ])('with %s is refused', async (_name, headers) => {
    const answer = await answerOn(await open(...post, ...headers, 'connection: close', '', '0', ''));
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(bodyOf(answer)).toEqual({ error: expect.any(String), code: expect.any(String) });
  });

  test('with a zip bomb of metadata is refused', async () => {
    for (const content of ['['.repeat(100_000), `{"a":`.repeat(50_000), `{"x":[${'1,'.repeat(200_000)}1]}`]) {
      const { status, code } = refusalOf(await postParts(service, 'sync', [tar, { name: 'metadata', content }]));
      expect([status, code]).toEqual([400, 'invalid_metadata']);
    }
  });
});

test.each([
  ['well formed', 'exe_01234567-89ab-cdef-0123-456789abcdef'],
  ['short', 'x'],
  ['a path', '..%2f..%2fetc%2fpasswd'],
  ['NUL', '%00'],
  ['SQL', "exe_' OR 1=1 --"],
  ['long', 'x'.repeat(10_000)],
])('14: an id that nobody has is the same 404, whether %s', async (_name, id) => {
  for (const method of ['GET', 'DELETE']) {
    const refusal = refusalOf(await call(service, method, `/api/v1/executions/${encodeURI(id)}`));
    expect(refusal).toMatchObject({ status: 404, code: 'execution_not_found' });
  }
});

test('what the parser refuses, unknown paths and methods are errors like all others', async () => {
  expect(refusalOf(await call(service, 'GET', '/api/v2/x'))).toMatchObject({ status: 404, code: 'not_found' });
  expect(refusalOf(await call(service, 'PUT', '/api/v1/eval'))).toMatchObject({
    status: 405,
    code: 'method_not_allowed',
  });
  const answer = await answerOn(await open('NONSENSE', ''));
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(bodyOf(answer)).toEqual({ error: expect.any(String), code: 'bad_request' });
  const long = await answerOn(await open('GET /health HTTP/1.1', 'host: x', `x: ${'y'.repeat(100_000)}`, ''));
  expect(long).toMatch(/^HTTP\/1\.1 431 /);
  expect(bodyOf(long)).toEqual({ error: expect.any(String), code: 'header_too_large' });
});

test('nothing of what was refused is left in the tar of the next', async () => {
  const body = Buffer.concat([encodeEntry({ name: 'main.py', content: 'import os; print(os.listdir())' }), endOfTar]);
  expect((await run(service, body)).stdout).toBe("['main.py']\n");
});
