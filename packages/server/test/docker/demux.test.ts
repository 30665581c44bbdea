import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { demux } from '../../dist/sandbox/docker/demux.js';

function frame(stream: number, payload: Uint8Array | string): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

const frames = Buffer.concat([frame(1, 'one '), frame(2, 'oops'), frame(1, ''), frame(1, 'two')]);

test.each([1, 3, 7, 8, 9, 1000])('streams come apart whole when they arrive in pieces of %i bytes', async (size) => {
  const source = new PassThrough();
  const { stdout, stderr } = demux(source);
  for (let at = 0; at < frames.length; at += size) source.write(frames.subarray(at, at + size));
  source.end();
  expect(await Promise.all([text(stdout), text(stderr)])).toEqual(['one two', 'oops']);
});

test.each([
  ['an unknown stream', Buffer.concat([frames, frame(3, 'x')])],
  ['a header that is not zero where it must be', Buffer.concat([frames, Buffer.from([1, 1, 0, 0, 0, 0, 0, 1, 65])])],
  ['an impossible length', Buffer.concat([frames, Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 65])])],
  ['an end in the middle of a frame', Buffer.concat([frames, frame(1, 'xyz').subarray(0, 5)])],
])('%s ends both streams after what came before it', async (_name, bytes) => {
  const source = new PassThrough();
  const { stdout, stderr } = demux(source);
  source.end(bytes);
  expect(await Promise.all([text(stdout), text(stderr)])).toEqual(['one two', 'oops']);
});

test('a source that breaks ends both streams without an error', async () => {
  const source = new PassThrough();
  source.on('error', () => {});
  const { stdout, stderr } = demux(source);
  const both = Promise.all([text(stdout), text(stderr)]);
  source.write(frames, () => source.destroy(new Error('reset')));
  expect(await both).toEqual(['one two', 'oops']);
});

test('a reader that waits holds the source up, and gets every byte in the end', async () => {
  const source = new PassThrough({ highWaterMark: 64 * 1024 });
  const { stdout, stderr } = demux(source);
  stderr.resume();
  const chunk = frame(1, Buffer.alloc(64 * 1024, 'x'));
  let written = 0;
  while (source.write(chunk)) {
    written += 1;
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBeLessThan(100);
  }
  source.end();
  expect((await buffer(stdout)).length).toBe((written + 1) * 64 * 1024);
});

test('a side that nobody wants any more does not hold up the other', async () => {
  const source = new PassThrough();
  const { stdout, stderr } = demux(source);
  stderr.destroy();
  source.write(frame(2, Buffer.alloc(1024 * 1024)));
  source.end(frame(1, 'still here'));
  expect(await text(stdout)).toBe('still here');
});
