import { request } from 'node:http';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ExecutionResult } from '@python-executor/contract';
import { expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { mostMemory } from '../support/memory.js';
import { encodePart, endOfParts, multipartType, partHeader } from '../support/multipart.js';
import { encodeEntry, endOfTar } from '../support/tar.js';

const service = serviceForFile();
const fileCount = 2_000;
const fileBytes = 45_000;
const growthBytesMax = 50 * 1024 * 1024;

const program = `
import os
sizes = [os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk("data") for name in names]
print(len(sizes), sum(sizes))`;

/** The body of an upload, in pieces, so that this process need not hold it. */
function* body(): Generator<Buffer> {
  const content = Buffer.alloc(fileBytes, 'x');
  yield Buffer.from(partHeader({ name: 'tar', filename: 'code.tar', type: 'application/x-tar' }));
  yield encodeEntry({ name: 'main.py', content: program });
  for (let index = 0; index < fileCount; index += 1) {
    yield encodeEntry({ name: `data/${index % 50}/file-${index}`, content });
  }
  yield endOfTar;
  yield Buffer.from('\r\n');
  yield encodePart({ name: 'metadata', content: '{"config":{"memory_mb":512}}' });
  yield Buffer.from(endOfParts);
}

async function uploadBody(): Promise<ExecutionResult> {
  const { promise: answered, resolve, reject } = withResolvers<ExecutionResult>();
  const sending = request(`${service.url}/api/v1/exec/sync`, {
    method: 'POST',
    headers: { 'content-type': multipartType },
  });
  sending.on(
    'response',
    (response) => void json(response).then((result) => resolve(result as ExecutionResult), reject),
  );
  sending.on('error', reject);
  await pipeline(Readable.from(body()), sending);
  return answered;
}

function withResolvers<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<Value>((one, other) => {
    resolve = one;
    reject = other;
  });
  return { promise, resolve, reject };
}

test('an upload of 90 MB in 2,000 files runs, and the memory of the server grows by less than 50 MB', async () => {
  await run(service, 'print("warm")');
  const { value, grownBytes } = await mostMemory(service, uploadBody);
  expect(value).toMatchObject({ status: 'completed', stdout: `${fileCount} ${fileCount * fileBytes}\n`, stderr: '' });
  expect(grownBytes).toBeLessThan(growthBytesMax);
});

test('four of them at once run too, and memory grows no further', async () => {
  const { value, grownBytes } = await mostMemory(service, () => Promise.all([1, 2, 3, 4].map(uploadBody)));
  for (const result of value) expect(result.stdout).toBe(`${fileCount} ${fileCount * fileBytes}\n`);
  expect(grownBytes).toBeLessThan(2 * growthBytesMax);
});
