import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { result, type Service, startService } from './service.js';
import { post } from './upload.js';

let service: Service;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => service.close());

function evaluate(body: unknown, type = 'application/json') {
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return post(`${service.url}/api/v1/eval`, bytes, type);
}

async function requestFor(body: unknown, type?: string) {
  const response = await evaluate(body, type);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual(result);
  return service.requests.at(-1);
}

async function faultOf(body: unknown, type?: string) {
  const before = service.requests.length;
  const response = await evaluate(body, type);
  expect(service.requests.length).toBe(before);
  expect(await service.archivesLeft()).toBe(0);
  return { status: response.status, ...((await response.json()) as { error: string; code: string }) };
}

describe('a request that is in order', () => {
  test('with code runs it as main.py', async () => {
    expect(await requestFor({ code: 'print(1)' })).toMatchObject({
      metadata: { entrypoint: 'main.py' },
      archive: { files: ['main.py'] },
      warnings: [],
      mode: 'script',
    });
  });

  test('with files runs main.py if it is among them, else the first; files win over code', async () => {
    const [a, main] = [
      { name: 'a.py', content: '' },
      { name: 'main.py', content: '' },
    ];
    const both = await requestFor({ files: [a, main], code: '!' });
    expect(both).toMatchObject({ metadata: { entrypoint: 'main.py' }, archive: { files: ['a.py', 'main.py'] } });
    expect(await requestFor({ files: [a] })).toMatchObject({ metadata: { entrypoint: 'a.py' } });
    expect(await requestFor({ files: [], code: '1' })).toMatchObject({ metadata: { entrypoint: 'main.py' } });
    const asked = await requestFor({ files: [a, main], entrypoint: 'a.py' });
    expect(asked).toMatchObject({ metadata: { entrypoint: 'a.py' } });
    const empty = await requestFor({ files: [a, main], entrypoint: '', python_version: '' });
    expect(empty?.metadata).toEqual({ entrypoint: 'main.py' });
  });

  test('has everything else passed on', async () => {
    const config = { timeout_seconds: 0, network_disabled: false };
    const request = await requestFor({
      code: '1',
      stdin: 'é\u0000',
      python_version: '3.12',
      eval_last_expr: true,
      requirements_txt: '-',
      config,
      timout: 1,
    });
    expect(request?.metadata).toEqual({
      entrypoint: 'main.py',
      docker_image: 'python:3.12-slim',
      stdin: 'é\u0000',
      requirements_txt: '-',
      config,
    });
    expect(request).toMatchObject({ mode: 'eval', warnings: ['Unknown field "timout" was ignored'] });
  });

  test.each(['application/json; charset=utf-8', 'Application/JSON ;charset=latin1'])(
    'may be sent as %s',
    async (type) => {
      await requestFor({ code: '1' }, type);
    },
  );

  test('may begin with a byte order mark', async () => {
    await requestFor('\uFEFF{"code":"1"}');
  });

  test('may hold exactly the permitted bytes of code, names included, and much more stdin', async () => {
    await requestFor({ code: 'é'.repeat((102_400 - 'main.py'.length - 1) / 2), stdin: 'x'.repeat(10 * 1024 * 1024) });
  });
});

describe('a request that cannot be used', () => {
  test.each([
    ['neither code nor files', {}],
    ['empty code', { code: '' }],
    ['no files', { files: [] }],
    ['no JSON', '{'],
    ['an array', []],
    ['nothing', ''],
    ['code that is a number', { code: 1 }],
    ['a file without content', { files: [{ name: 'a.py' }] }],
    ['text that is not UTF-8', Buffer.from('{"code":"\xff"}', 'latin1')],
  ])('because it holds %s is answered 400 invalid_request', async (_name, body) => {
    expect(await faultOf(body)).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test.each([null, -1, 1.5, 'x'])('because timeout_seconds is %j is answered 400 invalid_config', async (value) => {
    const fault = await faultOf({ code: '1', config: { timeout_seconds: value } });
    expect(fault).toMatchObject({ status: 400, code: 'invalid_config' });
    expect(fault.error).toContain('timeout_seconds');
  });

  test('because of its Python version is told the supported ones', async () => {
    const fault = await faultOf({ code: '1', python_version: '2.7' });
    expect(fault).toEqual({
      status: 400,
      code: 'unsupported_python_version',
      error: 'Python version "2.7" is not supported, the supported ones are 3.10, 3.11, 3.12, 3.13, 3.14',
    });
  });

  test.each([
    ['code', { code: 'x'.repeat(102_401) }],
    ['code in characters of more bytes', { code: 'é'.repeat(60_000) }],
    [
      'files',
      { files: Array.from({ length: 11 }, (_, index) => ({ name: `${index}.py`, content: 'x'.repeat(10_000) })) },
    ],
    ['names', { files: Array.from({ length: 600 }, (_, index) => ({ name: 'n'.repeat(200) + index, content: '' })) }],
  ])('because its %s are too long is answered 413 code_too_large', async (_name, body) => {
    expect(await faultOf(body)).toMatchObject({ status: 413, code: 'code_too_large' });
  });

  test('because its body is larger than code and stdin can be is answered 413 payload_too_large', async () => {
    const fault = await faultOf({ code: '1', stdin: 'x'.repeat(18 * 1024 * 1024) });
    expect(fault).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  test('because of a path in its files is answered with the fault of the archive', async () => {
    const fault = await faultOf({ files: [{ name: '../x.py', content: '' }] });
    expect(fault).toMatchObject({ status: 400, code: 'archive_path' });
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonx',
    'multipart/form-data; boundary=b',
  ])('because it is sent as %s is answered 415', async (type) => {
    expect(await faultOf({ code: '1' }, type)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  });
});
