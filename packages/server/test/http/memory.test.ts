import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { knownId } from './service.js';
import { multipartOf, multipartType, tarOf, usualParts } from './upload.js';

const megabyte = 1024 * 1024;
const growthMegabytesMax = 64;

let child: ChildProcess;
let url: string;

beforeEach(async () => {
  child = fork(new URL('./memory-service.mjs', import.meta.url));
  const [port] = await once(child, 'message');
  url = `http://127.0.0.1:${port}`;
  const [body] = [multipartOf(await usualParts())];
  for (let count = 0; count < 20; count += 1) await (await send('exec/sync', body)).text();
});

afterEach(async () => {
  child.disconnect();
  await once(child, 'exit');
});

async function peakMegabytes(): Promise<number> {
  const answer = once(child, 'message');
  child.send('peak');
  const [megabytes] = await answer;
  return megabytes;
}

function send(path: string, body: NonNullable<RequestInit['body']>, type = multipartType): Promise<Response> {
  const init = { method: 'POST', body, headers: { 'content-type': type }, duplex: 'half' };
  return fetch(`${url}/api/v1/${path}`, init as RequestInit);
}

async function growthDuring(act: () => Promise<void>): Promise<number> {
  const before = await peakMegabytes();
  await act();
  return (await peakMegabytes()) - before;
}

describe.runIf(process.platform === 'linux')('memory stays flat', () => {
  test('while a body far over the limit comes in chunks', async () => {
    let megabytes = 0;
    const growth = await growthDuring(async () => {
      const body = new ReadableStream({
        pull: (controller) => {
          megabytes += 1;
          if (megabytes > 300) controller.close();
          else controller.enqueue(new Uint8Array(megabyte));
        },
      });
      const response = await send('exec/sync', body);
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ code: 'payload_too_large' });
    });
    expect(growth).toBeLessThan(growthMegabytesMax);
  });

  test('while an archive close to the limit comes in', async () => {
    const content = await tarOf({ 'main.py': '', 'a.bin': Buffer.alloc(90 * megabyte) });
    const body = multipartOf([{ name: 'tar', filename: 'a.tar', content }, ...(await usualParts()).slice(1)]);
    const growth = await growthDuring(async () => {
      expect((await send('exec/sync', body)).status).toBe(200);
    });
    expect(growth).toBeLessThan(growthMegabytesMax);
  });

  test('while a result of 10 MiB that JSON makes 60 of goes out', async () => {
    const growth = await growthDuring(async () => {
      const response = await fetch(`${url}/api/v1/executions/${knownId}`);
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(60 * megabyte);
    });
    expect(growth).toBeLessThan(growthMegabytesMax);
  });

  test('while 10 MiB of stdin come in', async () => {
    const stdin = 'x'.repeat(10 * megabyte);
    const growth = await growthDuring(async () => {
      const upload = await send('exec/sync', multipartOf(await usualParts({ stdin })));
      expect(await upload.json()).toMatchObject({ stdout: String(stdin.length) });
    });
    expect(growth).toBeLessThan(growthMegabytesMax);
  });

  test('while metadata of nothing but brackets comes in', async () => {
    const body = multipartOf([{ name: 'metadata', content: '['.repeat(15 * megabyte) }]);
    const growth = await growthDuring(async () => {
      expect((await send('exec/sync', body)).status).toBe(400);
    });
    expect(growth).toBeLessThan(growthMegabytesMax);
  });
});
