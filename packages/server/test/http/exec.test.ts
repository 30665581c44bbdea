import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownId, result, type Service, startService } from './service.js';
import { boundary, multipartOf, multipartType, type Part, post, tarOf, usualParts } from './upload.js';

let service: Service;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => service.close());

const sync = () => `${service.url}/api/v1/exec/sync`;

async function upload(parts: readonly Part[]) {
  return post(sync(), multipartOf(parts));
}

async function faultOf(response: Response) {
  const { error, code } = (await response.json()) as { error: string; code: string };
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(await service.archivesLeft()).toBe(0);
  return { status: response.status, code, error };
}

function lastRequest() {
  const request = service.requests.at(-1);
  if (request === undefined) throw new Error('Nothing was handed over');
  return request;
}

describe('an upload that is in order', () => {
  test('to exec/sync is answered 200 with the result', async () => {
    const form = new FormData();
    form.append('tar', new Blob([await tarOf({ 'main.py': 'print(1)', 'lib/a.py': '' })]), 'code.tar');
    form.append('metadata', JSON.stringify({ entrypoint: 'main.py', script_args: ['; rm -rf /', '$(id)'] }));
    const response = await fetch(sync(), { method: 'POST', body: form });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.json()).toEqual(result);
    expect(lastRequest()).toMatchObject({
      metadata: { entrypoint: 'main.py', script_args: ['; rm -rf /', '$(id)'] },
      archive: { files: ['main.py', 'lib/a.py'] },
      warnings: [],
      mode: 'script',
    });
  });

  test('to exec/async is answered 202 with the id', async () => {
    const response = await post(`${service.url}/api/v1/exec/async`, multipartOf(await usualParts()));
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ execution_id: knownId });
  });

  test.each([
    ['a plain field', {}],
    ['a field of type application/json', { type: 'application/json' }],
    ['a file', { type: 'application/json', filename: 'metadata.json' }],
  ])('may bring metadata as %s, before the tar or after it', async (_name, form) => {
    const [tar] = (await usualParts()) as [Part, Part];
    const metadata = { name: 'metadata', content: '{"stdin":"é"}', ...form };
    for (const parts of [
      [tar, metadata],
      [metadata, tar],
    ]) {
      const response = await upload(parts);
      expect(response.status).toBe(200);
      expect(lastRequest().metadata).toEqual({ stdin: 'é' });
    }
  });

  test('may bring the tar as a plain field, every byte of it kept', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const [tar, metadata] = (await usualParts()) as [Part, Part];
    const content = await tarOf({ 'main.py': 'print(1)', 'data.bin': bytes });
    const { filename: _filename, type: _type, ...field } = tar;
    const response = await upload([{ ...field, content }, metadata]);
    expect(response.status).toBe(200);
    expect(lastRequest().archive.files).toEqual(['main.py', 'data.bin']);
  });

  test('may carry more metadata than the megabyte that the parser allows by itself', async () => {
    const response = await upload(await usualParts({ stdin: 'y'.repeat(3 * 1024 * 1024) }));
    expect(response.status).toBe(200);
    expect(lastRequest().metadata.stdin).toHaveLength(3 * 1024 * 1024);
  });

  test('has unknown parts and fields named in the warnings', async () => {
    const [tar, metadata] = (await usualParts({ timout_seconds: 1 })) as [Part, Part];
    const response = await upload([{ name: 'extra', content: 'x'.repeat(100_000) }, tar, metadata]);
    expect(response.status).toBe(200);
    expect(lastRequest().warnings).toEqual([
      'Unknown field "timout_seconds" was ignored',
      'Unknown part "extra" was ignored',
    ]);
  });

  test('may have a quoted boundary and text around its parts', async () => {
    const body = Buffer.concat([Buffer.from('preamble\r\n'), multipartOf(await usualParts()), Buffer.from('epilogue')]);
    const response = await post(sync(), body, `Multipart/Form-Data; charset=utf-8; boundary="${boundary}"`);
    expect(response.status).toBe(200);
  });

  test('may be larger than what is kept in memory', async () => {
    const [, metadata] = (await usualParts()) as [Part, Part];
    const content = await tarOf({ 'main.py': '', 'data.bin': Buffer.alloc(5 * 1024 * 1024, 1) });
    const response = await upload([{ name: 'tar', filename: 'a.tar', content }, metadata]);
    expect(response.status).toBe(200);
    expect(await service.archivesLeft()).toBe(0);
  });
});

describe('invalid_multipart', () => {
  test.each(['tar', 'metadata'])('answers two parts "%s"', async (name) => {
    const parts = await usualParts();
    const fault = await faultOf(await upload([...parts, ...parts.filter((part) => part.name === name)]));
    expect(fault).toEqual({
      status: 400,
      code: 'invalid_multipart',
      error: `Cannot read multipart body: it has two parts "${name}"`,
    });
  });

  test.each(['tar', 'metadata'])('answers a missing part "%s"', async (name) => {
    const parts = await usualParts();
    const fault = await faultOf(await upload(parts.filter((part) => part.name !== name)));
    expect(fault).toMatchObject({ status: 400, code: 'invalid_multipart' });
    expect(fault.error).toContain(`part "${name}" is missing`);
  });

  test.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    `multipart/form-data; boundary=${'b'.repeat(300)}`,
    'multipart/form-data; x="; boundary=hidden"',
  ])('answers the content type %j', async (type) => {
    const fault = await faultOf(await post(sync(), multipartOf(await usualParts()), type));
    expect(fault).toMatchObject({ status: 400, code: 'invalid_multipart' });
    expect(fault.error).toContain('boundary');
  });

  test('answers 10,000 parts', async () => {
    const parts = Array.from({ length: 10_000 }, (_, index) => ({ name: `p${index}`, content: '' }));
    const fault = await faultOf(await upload([...parts, ...(await usualParts())]));
    expect(fault).toMatchObject({ status: 400, code: 'invalid_multipart' });
    expect(fault.error).toContain('more than 100 parts');
  });

  test('answers a body that ends at any place before its closing boundary', async () => {
    const body = multipartOf(await usualParts({ stdin: 'x' }));
    for (let length = 0; length < body.length - 4; length += 37) {
      const fault = await faultOf(await post(sync(), body.subarray(0, length)));
      expect(fault).toMatchObject({ status: 400, code: 'invalid_multipart' });
    }
  });

  test.each(['', 'not multipart at all', `--other\r\n\r\n--other--`, `--${boundary}--\r\n`])(
    'answers the body %j',
    async (body) => {
      const fault = await faultOf(await post(sync(), body));
      expect(fault).toMatchObject({ status: 400, code: 'invalid_multipart' });
    },
  );
});

describe('metadata that cannot be used', () => {
  test.each([
    ['not JSON', '{', 'invalid_metadata'],
    ['no object', '[]', 'invalid_metadata'],
    ['empty', '', 'invalid_metadata'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'invalid_metadata'],
    ['of a wrong type', '{"stdin":1}', 'invalid_metadata'],
    ['with an env var without =', '{"env_vars":["A"]}', 'invalid_metadata'],
    ['deeply nested', '['.repeat(1024 * 1024), 'invalid_metadata'],
    ['of a million keys', `{${'"k":1,'.repeat(1_000_000)}"z":1}`, 'invalid_metadata'],
    ['network_disabled null', '{"config":{"network_disabled":null}}', 'invalid_config'],
    ['network_disabled "false"', '{"config":{"network_disabled":"false"}}', 'invalid_config'],
    ['timeout -1', '{"config":{"timeout_seconds":-1}}', 'invalid_config'],
    ['timeout 1.5', '{"config":{"timeout_seconds":1.5}}', 'invalid_config'],
    ['timeout "x"', '{"config":{"timeout_seconds":"x"}}', 'invalid_config'],
  ])('because it is %s is answered 400, wherever it stands', async (_name, content, code) => {
    const [tar] = (await usualParts()) as [Part, Part];
    const metadata = { name: 'metadata', content };
    expect(await faultOf(await upload([tar, metadata]))).toMatchObject({ status: 400, code });
    expect(await faultOf(await upload([metadata, tar]))).toMatchObject({ status: 400, code });
  });

  test('is reported before a large tar behind it has been read', async () => {
    const head = multipartOf([{ name: 'metadata', content: '{"stdin":1}' }]).subarray(0, -4);
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(head),
      // Nothing more ever comes: only a server that answers at once gets any further.
    });
    const headers = { 'content-type': multipartType };
    const response = await fetch(sync(), { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
    expect(await faultOf(response)).toMatchObject({ status: 400, code: 'invalid_metadata' });
  });

  test('is answered 413 when it is larger than its limit', async () => {
    const small = await startService({ config: { metadataBytesMax: 1000 } });
    try {
      const parts = await usualParts({ stdin: 'x'.repeat(1000) });
      const response = await post(`${small.url}/api/v1/exec/sync`, multipartOf(parts));
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ code: 'payload_too_large' });
      expect(await small.archivesLeft()).toBe(0);
    } finally {
      await small.close();
    }
  });
});

describe('an archive that is refused', () => {
  test('is answered with the fault of the archive, and nothing is handed over', async () => {
    const before = service.requests.length;
    const [tar, metadata] = (await usualParts()) as [Part, Part];
    const random = { ...tar, content: Buffer.alloc(300_000, 7) };
    expect(await faultOf(await upload([random, metadata]))).toMatchObject({ status: 400, code: 'archive_corrupt' });
    const outside = { ...tar, content: await tarOf({ '../x': '' }) };
    expect(await faultOf(await upload([metadata, outside]))).toMatchObject({ status: 400, code: 'archive_path' });
    expect(service.requests.length).toBe(before);
  });
});

describe('unsupported_media_type', () => {
  test.each(['application/json', 'multipart/mixed; boundary=b', 'application/x-www-form-urlencoded', 'nonsense', ''])(
    'answers the content type %j',
    async (type) => {
      const fault = await faultOf(await post(sync(), multipartOf(await usualParts()), type));
      expect(fault).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    },
  );

  test('answers a compressed body', async () => {
    const headers = { 'content-type': multipartType, 'content-encoding': 'gzip' };
    const response = await fetch(sync(), { method: 'POST', body: multipartOf(await usualParts()), headers });
    expect(await faultOf(response)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  });
});
