import { describe, expect, test } from 'vitest';
import { receiveArchive } from '../../dist/archive/receive.js';
import { createSpool, streamOf } from './spool.js';
import { encodeEntry, endOfTar, pax, type RawEntry, tarOf } from './tar.js';

const spool = createSpool();

function manyFiles(count: number): RawEntry[] {
  return Array.from({ length: count }, (_, index) => ({ name: `d/f${index}` }));
}

describe('entries', () => {
  test('as many as allowed are accepted, one more is not', async () => {
    const archive = await receiveArchive(streamOf(tarOf(...manyFiles(50))), spool.options({ entriesMax: 50 }));
    expect(archive.files).toHaveLength(50);
    await expect(
      receiveArchive(streamOf(tarOf(...manyFiles(51))), spool.options({ entriesMax: 50 })),
    ).rejects.toMatchObject({ code: 'archive_too_many_entries', message: expect.stringContaining('50') });
  });

  test('100,000 empty files are refused', async () => {
    const tar = tarOf(...manyFiles(100_000));
    await expect(receiveArchive(streamOf(tar), spool.options({ memoryBytesMax: 0 }))).rejects.toMatchObject({
      code: 'archive_too_many_entries',
      status: 413,
    });
    expect(spool.files()).toEqual([]);
  });

  test('a file that comes again and again counts each time', async () => {
    const tar = tarOf(...Array.from({ length: 11 }, () => ({ name: 'a' })));
    await expect(receiveArchive(streamOf(tar), spool.options({ entriesMax: 10 }))).rejects.toMatchObject({
      code: 'archive_too_many_entries',
    });
  });

  test('directories that have no entry of their own are limited too', async () => {
    const tar = tarOf(...Array.from({ length: 10 }, (_, index) => ({ name: `${index}/a/b/c/x` })));
    await expect(receiveArchive(streamOf(tar), spool.options({ entriesMax: 39 }))).rejects.toMatchObject({
      code: 'archive_too_many_entries',
      message: expect.stringContaining('39 directories'),
    });
    await receiveArchive(streamOf(tar), spool.options({ entriesMax: 40 }));
  });
});

describe('bytes', () => {
  test('an upload over the limit is refused while it comes in', async () => {
    const entry = encodeEntry({ name: 'a', content: Buffer.alloc(100_000, 1) });
    const options = spool.options({ bytesMax: 60_000, memoryBytesMax: 1000 });
    const source = streamOf(Buffer.concat([entry, endOfTar]), 1000);
    await expect(receiveArchive(source, options)).rejects.toMatchObject({
      code: 'archive_too_large',
      message: expect.stringContaining('60000 bytes'),
    });
    expect(source.isPaused()).toBe(true);
    expect(spool.files()).toEqual([]);
  });

  test('zeros and comments count as well', async () => {
    const options = spool.options({ bytesMax: 60_000 });
    const comments = tarOf(...Array.from({ length: 100 }, () => ({ name: 'g', type: 'g', content: 'x' })));
    for (const bytes of [Buffer.alloc(61_000), comments]) {
      await expect(receiveArchive(streamOf(bytes), options)).rejects.toMatchObject({ code: 'archive_too_large' });
    }
  });

  test('paths that add up to too much are refused', async () => {
    const directory = `${'a'.repeat(200)}/`.repeat(15);
    const entries = Array.from({ length: 1000 }, (_, index) => [pax({ path: `${directory}${index}` }), { name: 'x' }]);
    await expect(receiveArchive(streamOf(tarOf(...entries.flat())), spool.options())).rejects.toMatchObject({
      code: 'archive_too_large',
      message: expect.stringContaining('paths add up'),
    });
  });
});
