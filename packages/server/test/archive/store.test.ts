import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { ServiceError } from '@python-executor/contract';
import { describe, expect, test } from 'vitest';
import { receiveArchive } from '../../dist/archive/receive.js';
import { archiveInFile, archiveInMemory } from '../../dist/archive/stored.js';
import { createSpool, streamOf } from './spool.js';
import { encodeEntry, entriesOf, tarOf } from './tar.js';

const spool = createSpool();
const small = tarOf({ name: 'a.py', content: 'print(1)' });
const large = tarOf({ name: 'a.py', content: 'print(1)' }, { name: 'data', content: Buffer.alloc(1_000_000, 7) });

describe('where an archive lies', () => {
  test('up to the limit in memory, above it in a file', async () => {
    const { sizeBytes } = await receiveArchive(streamOf(small), spool.options());
    const inMemory = await receiveArchive(streamOf(small), spool.options({ memoryBytesMax: sizeBytes }));
    expect([inMemory.bytes?.length, inMemory.path]).toEqual([sizeBytes, undefined]);
    expect(spool.files()).toEqual([]);

    const inFile = await receiveArchive(streamOf(small), spool.options({ memoryBytesMax: sizeBytes - 1 }));
    expect(inFile.bytes).toBeUndefined();
    expect(inFile.path).toMatch(/\/[0-9a-f-]{36}\.tar$/);
    const { mode, size } = statSync(inFile.path as string);
    expect([mode & 0o777, size]).toEqual([0o600, sizeBytes]);
    expect(await buffer(inFile.open())).toEqual(await buffer(inMemory.open()));
    await inFile.dispose();
  });

  test.each([
    ['memory', small],
    ['a file', large],
  ])('in %s it is opened as often as one likes, kept, and gone after it was disposed of', async (_, bytes) => {
    const archive = await receiveArchive(streamOf(bytes), spool.options());
    const [one, other] = await Promise.all([entriesOf(archive), entriesOf(archive)]);
    expect(one.map(({ name }) => name)).toEqual(archive.files);
    expect(other).toEqual(one);
    await archive.persist();
    await Promise.all([archive.dispose(), archive.dispose()]);
    await archive.dispose();
    expect(archive.bytes).toBeUndefined();
    expect(spool.files()).toEqual([]);
  });

  test('one that was kept is there again after a restart', async () => {
    const inFile = await receiveArchive(streamOf(large), spool.options());
    const again = archiveInFile(inFile.path as string, inFile.sizeBytes, inFile.files);
    expect(await entriesOf(again)).toEqual(await entriesOf(inFile));
    await again.dispose();
    expect(existsSync(inFile.path as string)).toBe(false);

    const inMemory = await receiveArchive(streamOf(small), spool.options());
    const copy = archiveInMemory(inMemory.bytes as Uint8Array, inMemory.files);
    expect(await entriesOf(copy)).toEqual(await entriesOf(inMemory));
    expect(copy.sizeBytes).toBe(inMemory.sizeBytes);
  });

  test('a spool file that is gone cannot be kept', async () => {
    const archive = await receiveArchive(streamOf(large), spool.options());
    rmSync(archive.path as string);
    await expect(archive.persist()).rejects.toMatchObject({ code: 'store_unavailable', status: 503 });
  });
});

describe('a spool that fails', () => {
  test('is the fault of the service, and its paths are not told', async () => {
    const notDirectory = join(spool.path, 'file');
    writeFileSync(notDirectory, '');
    for (const spoolDir of [join(spool.path, 'missing'), notDirectory]) {
      const received = receiveArchive(streamOf(large), spool.options({ spoolDir }));
      await expect(received).rejects.toMatchObject({
        code: 'store_unavailable',
        message: expect.stringMatching(/^Cannot spool archive: (ENOENT|ENOTDIR)$/),
      });
    }
    rmSync(notDirectory);
  });
});

describe('a source that fails', () => {
  const first = encodeEntry({ name: 'a', content: Buffer.alloc(600_000, 1) });

  test('rejects with its own error and leaves no file, however far it has come', async () => {
    for (const length of [0, 10, 512, 100_000, 500_000, first.length]) {
      const reason = new ServiceError('payload_too_large', 'Cannot read body: too large');
      const source = new PassThrough();
      const received = receiveArchive(source, spool.options({ memoryBytesMax: 1000 }));
      source.write(first.subarray(0, length));
      for (let turn = 0; turn < length % 7; turn++) await setImmediate();
      source.destroy(reason);
      await expect(received).rejects.toBe(reason);
      expect(spool.files()).toEqual([]);
    }
  });

  test('rejects when it is destroyed without an error, before or after', async () => {
    const source = new PassThrough();
    const received = receiveArchive(source, spool.options());
    source.write(first.subarray(0, 1000));
    source.destroy();
    await expect(received).rejects.toMatchObject({ code: 'archive_corrupt' });

    const dead = new PassThrough();
    dead.destroy();
    await expect(receiveArchive(dead, spool.options())).rejects.toMatchObject({ code: 'archive_corrupt' });
    const broken = new PassThrough();
    const reason = new Error('reset');
    broken.destroy(reason);
    await expect(receiveArchive(broken, spool.options())).rejects.toBe(reason);
  });

  test('may fail after a refusal without ending the process', async () => {
    const source = new PassThrough();
    const received = receiveArchive(source, spool.options());
    source.write(encodeEntry({ name: '../x' }));
    await expect(received).rejects.toMatchObject({ code: 'archive_path' });
    source.destroy(new Error('reset'));
    await setImmediate();
    expect(source.destroyed).toBe(true);
  });

  test('changes nothing when it fails after its end', async () => {
    const source = streamOf(large);
    const received = receiveArchive(source, spool.options());
    source.on('end', () => source.destroy(new Error('late')));
    const archive = await received;
    expect((await entriesOf(archive)).map(({ name }) => name)).toEqual(['a.py', 'data']);
    await archive.dispose();
  });
});

test('a source is paused while the disk is slower, and every byte arrives once', async () => {
  const content = Buffer.alloc(3_000_000);
  for (let offset = 0; offset < content.length; offset += 4) content.writeUInt32LE(offset, offset);
  const archive = await receiveArchive(
    Readable.from([tarOf({ name: 'data', content })]),
    spool.options({ memoryBytesMax: 0 }),
  );
  const [found] = await entriesOf(archive);
  expect(Buffer.from(found?.content ?? '', 'latin1').equals(content)).toBe(true);
  await archive.dispose();
});
