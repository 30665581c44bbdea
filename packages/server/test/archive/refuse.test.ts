import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { receiveArchive } from '../../dist/archive/receive.js';
import { createSpool, streamOf } from './spool.js';
import { encodeEntry, endOfTar, pax, type RawEntry, tarOf } from './tar.js';

const spool = createSpool();

async function refusalOf(bytes: Buffer, pieceBytes?: number) {
  const received = receiveArchive(streamOf(bytes, pieceBytes), spool.options({ memoryBytesMax: 0 }));
  const error = await received.then(
    (archive) => archive.dispose(),
    (reason) => reason,
  );
  expect(spool.files()).toEqual([]);
  return error === undefined ? undefined : { code: error.code, message: error.message };
}

async function expectRefusal(bytes: Buffer, code: string, named: string | RegExp) {
  for (const pieceBytes of [64 * 1024, 512, 7]) {
    const refusal = await refusalOf(bytes, pieceBytes);
    expect(refusal).toMatchObject({ code, message: expect.stringMatching(/^Cannot read archive: /) });
    expect(refusal?.message).toMatch(named);
  }
}

const before: RawEntry = { name: 'main.py', content: 'print(1)' };
const size = (bytes: number[]) => Buffer.from(bytes);

describe('paths', () => {
  test.each([
    ['the parent', '../x'],
    ['an absolute path', '/x'],
    ['the root', '/'],
    ['a way out through a directory', 'a/../../x'],
    ['a parent that stays inside', 'a/../x'],
    ['only the parent', '..'],
    ['a parent at the end', 'a/..'],
    ['a control character', 'a\x1bb'],
    ['a newline', 'a\nb'],
    ['DEL', 'a\x7fb'],
    ['depth over 100', 'a/'.repeat(100).slice(0, 98)],
  ])('%s is refused', async (_, name) => {
    const deep = name.startsWith('a/a/');
    const entries = deep ? [pax({ path: `${'a/'.repeat(100)}x` }), { name: 'x' }] : [{ name }];
    await expectRefusal(tarOf(before, ...entries), 'archive_path', deep ? '100 levels' : /path "/);
  });

  test('a name that is not UTF-8 is refused', async () => {
    for (const bytes of [
      [0xff, 0x61],
      [0xc0, 0xaf],
      [0xed, 0xa0, 0x80],
      [0x61, 0xe2, 0x82],
    ]) {
      await expectRefusal(tarOf({ name: Buffer.from(bytes) }), 'archive_path', 'is not UTF-8');
    }
  });

  test('a component over 255 bytes is refused, one of 255 is not', async () => {
    const path = 'é'.repeat(127);
    await expectRefusal(tarOf(pax({ path: `${path}ab/x` }), { name: 'x' }), 'archive_path', '255 bytes');
    expect(await refusalOf(tarOf(pax({ path: `${path}a/x` }), { name: 'x' }))).toBeUndefined();
  });

  test('100 levels are accepted', async () => {
    expect(await refusalOf(tarOf(pax({ path: `${'a/'.repeat(99)}x` }), { name: 'x' }))).toBeUndefined();
  });

  test('a path that the kernel could not open is refused', async () => {
    const path = `${'a'.repeat(200)}/`.repeat(20);
    await expectRefusal(tarOf(pax({ path: `${path}x` }), { name: 'x' }), 'archive_path', '4000 bytes');
  });

  test('a bad path is refused wherever it comes from', async () => {
    await expectRefusal(tarOf(pax({ path: '../x' }), { name: 'x' }), 'archive_path', '"../x"');
    await expectRefusal(tarOf(pax({ path: 'a\0b' }), { name: 'x' }), 'archive_path', 'control character');
    await expectRefusal(tarOf({ type: 'L', content: '/x\0' }, { name: 'x' }), 'archive_path', '"/x"');
    await expectRefusal(tarOf({ prefix: '..', name: 'x' }), 'archive_path', '"../x"');
    await expectRefusal(tarOf({ prefix: '/a', name: 'x' }), 'archive_path', '"/a/x"');
    await expectRefusal(tarOf({ name: '../d/', type: '5' }), 'archive_path', '"../d/"');
  });

  test('a file without a name or in place of the root is refused', async () => {
    await expectRefusal(tarOf({ name: '' }), 'archive_path', 'empty');
    await expectRefusal(tarOf({ name: '.', content: 'x' }), 'archive_path', '"."');
  });
});

describe('types', () => {
  test.each([
    ['hard link', '1'],
    ['symbolic link', '2'],
    ['character device', '3'],
    ['block device', '4'],
    ['fifo', '6'],
    ['sparse file', 'S'],
    ['type "V"', 'V'],
    ['type "D"', 'D'],
    ['type "M"', 'M'],
    ['type "X"', 'X'],
    ['type "9"', '9'],
  ])('a %s is refused and named', async (named, type) => {
    await expectRefusal(
      tarOf(before, { name: 'odd', type, linkname: 'main.py' }),
      'archive_entry_type',
      new RegExp(`"odd" is .*${named}`),
    );
  });

  test('a link is refused whatever it points to, by header, GNU long name or pax', async () => {
    for (const linkname of ['/etc/passwd', '../x', 'main.py', '']) {
      await expectRefusal(tarOf(before, { name: 'l', type: '2', linkname }), 'archive_entry_type', '"l"');
    }
    await expectRefusal(
      tarOf({ name: '././@LongLink', type: 'K', content: `${'t'.repeat(200)}\0` }, { name: 'l', type: '2' }),
      'archive_entry_type',
      '"l"',
    );
    await expectRefusal(tarOf(pax({ linkpath: '/etc' }), { name: 'l', type: '1' }), 'archive_entry_type', '"l"');
  });

  test('a symlinked directory followed by a file below it is refused', async () => {
    const entries = [{ name: 'd', type: '2', linkname: '/etc' }, { name: 'd/passwd' }];
    await expectRefusal(tarOf(...entries), 'archive_entry_type', '"d"');
  });

  test('a sparse file in pax clothes is refused', async () => {
    const records = { 'GNU.sparse.major': '1', 'GNU.sparse.name': 'x', 'GNU.sparse.realsize': '1000' };
    await expectRefusal(tarOf(pax(records), { name: 'x', content: '0\n' }), 'archive_entry_type', 'sparse');
  });
});

describe('corruption', () => {
  test.each([
    ['negative in base 256', size([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['huge in base 256', size([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['just above eleven octal digits', size([0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0])],
    ['another base', size([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])],
    ['a minus sign', '-0000000001\0'],
    ['no number', 'abcdefghijk\0'],
    ['decimal', '00000000009\0'],
    ['hexadecimal', '0x10\0'],
    ['a fraction', '1.5\0'],
    ['followed by something else', '00000000001x'],
    ['two numbers', '1 1\0'],
    ['twelve digits, too large', '777777777777'],
  ])('a size that is %s is refused', async (_, field) => {
    await expectRefusal(tarOf(before, { name: 'x', size: field, content: 'x' }), 'archive_corrupt', /size .*"x"/);
  });

  test('a large size that the body does not keep is refused', async () => {
    await expectRefusal(tarOf({ name: 'x', size: '77777777777\0' }), 'archive_corrupt', 'middle of entry "x"');
  });

  test('a wrong checksum, magic number or mode is refused', async () => {
    await expectRefusal(tarOf(before, { name: 'x', checksumFault: 1 }), 'archive_corrupt', 'checksum');
    await expectRefusal(tarOf({ name: 'x', checksumFault: -1 }), 'archive_corrupt', 'byte 0 has a wrong checksum');
    await expectRefusal(tarOf({ name: 'x', magic: 'mutar\x0000' }), 'archive_corrupt', 'magic');
    await expectRefusal(tarOf({ name: 'x', mode: 'rw-r--r-' }), 'archive_corrupt', 'mode');
  });

  test('a directory with content is refused', async () => {
    await expectRefusal(tarOf({ name: 'd/', type: '5', content: 'x' }), 'archive_corrupt', '"d/"');
    await expectRefusal(tarOf({ name: 'd/', content: 'x' }), 'archive_corrupt', '"d/"');
    await expectRefusal(tarOf(pax({ size: '5' }), { name: 'd', type: '5' }), 'archive_corrupt', '"d"');
  });

  test('a body cut anywhere but between entries is refused', async () => {
    const whole = tarOf({ name: 'a.py', content: 'a'.repeat(1000) }, { name: 'b.py', content: 'b'.repeat(1000) });
    for (const length of [1, 100, 511, 513, 1000, 1512, 1535, 1537, 2047, 2049, 3000]) {
      await expectRefusal(whole.subarray(0, length), 'archive_corrupt', /ends after \d+ bytes, in the middle/);
    }
  });

  test('an upload without a single byte is refused', async () => {
    await expectRefusal(Buffer.alloc(0), 'archive_corrupt', 'empty');
  });

  test('a few zeros and text are refused', async () => {
    await expectRefusal(Buffer.alloc(100), 'archive_corrupt', 'in the middle of a header');
    await expectRefusal(Buffer.from('print("hi")\n'), 'archive_corrupt', 'in the middle of a header');
    await expectRefusal(Buffer.from('print("hi")\n'.repeat(100)), 'archive_corrupt', 'checksum');
  });

  test('random bytes are refused', async () => {
    for (let round = 0; round < 200; round++) {
      const refusal = await refusalOf(randomBytes(1 + Math.floor(Math.random() * 5000)));
      expect(refusal?.code).toMatch(/^archive_(corrupt|compressed)$/);
    }
  });

  test('a tar with one byte changed is corrupt, or still one of files and directories', async () => {
    const whole = tarOf(pax({ path: 'src/a.py' }), { name: 'x', content: 'print(1)' }, { name: 'd/', type: '5' });
    for (let offset = 0; offset < whole.length; offset++) {
      const broken = Buffer.from(whole);
      broken[offset] = (broken[offset] ?? 0) ^ 0x41;
      const code = await receiveArchive(streamOf(broken), spool.options()).then(
        () => 'accepted',
        (reason) => reason.code,
      );
      expect(code).toMatch(/^(accepted|archive_corrupt|archive_path)$/);
    }
  });

  test('anything but zeros after the end is refused', async () => {
    await expectRefusal(Buffer.concat([tarOf(before), Buffer.from('x')]), 'archive_corrupt', 'after its end');
    await expectRefusal(Buffer.concat([tarOf(before), tarOf(before)]), 'archive_corrupt', 'after its end');
    const gap = Buffer.concat([encodeEntry(before), Buffer.alloc(512), encodeEntry(before), endOfTar]);
    await expectRefusal(gap, 'archive_corrupt', 'after its end');
  });

  test('a malformed pax header is refused', async () => {
    const records = [
      'x',
      '5',
      '0 a=\n',
      '99 path=x\n',
      '10 path=xy',
      '9 pathx\n\n',
      ' path=x\n',
      '-9 path=x\n',
      '1e1 path=\n',
    ];
    for (const content of records) {
      await expectRefusal(tarOf({ name: 'p', type: 'x', content }, before), 'archive_corrupt', 'pax record');
    }
    for (const value of ['-1', '1.5', 'x', '99999999999999999999', '8589934592']) {
      await expectRefusal(tarOf(pax({ size: value }), before), 'archive_corrupt', value);
    }
  });

  test('an extended header without an entry is refused', async () => {
    await expectRefusal(tarOf(pax({ path: 'x' })), 'archive_corrupt', 'belongs to no entry');
    await expectRefusal(encodeEntry(pax({ path: 'x' })), 'archive_corrupt', 'belongs to no entry');
    await expectRefusal(encodeEntry(pax({ path: 'x' })).subarray(0, 515), 'archive_corrupt', 'belongs to no entry');
    await expectRefusal(tarOf({ type: 'L', content: 'x\0' }), 'archive_corrupt', 'belongs to no entry');
  });

  test.each(['x', 'g', 'L', 'K'])(
    'an extended header of type %s over 1 MiB is refused before it comes',
    async (type) => {
      const header = encodeEntry({ name: 'p', type, size: '00004000001\0' });
      await expectRefusal(Buffer.concat([encodeEntry(before), header]), 'archive_corrupt', '1048577 bytes');
    },
  );
});

describe('conflicts', () => {
  test.each([
    ['a file, then a directory', [{ name: 'a' }, { name: 'a', type: '5' }]],
    ['a directory, then a file', [{ name: 'a/', type: '5' }, { name: 'a' }]],
    ['a file, then a file below it', [{ name: 'a' }, { name: 'a/b' }]],
    ['a file, then a file far below it', [{ name: 'a' }, { name: 'a/b/c/d' }]],
    ['a file below it, then a file', [{ name: 'a/b/c' }, { name: './a//b' }]],
  ])('%s of one name are refused', async (_, entries) => {
    await expectRefusal(tarOf(before, ...entries), 'archive_conflict', /"a(\/b)?" is both a file and a directory/);
  });
});

test('a refusal after much has been spooled leaves no file', async () => {
  const source = new PassThrough();
  const received = receiveArchive(source, spool.options());
  source.write(encodeEntry({ name: 'large', content: Buffer.alloc(2_000_000, 1) }));
  await expect.poll(() => spool.files().length, { interval: 1 }).toBe(1);
  source.write(encodeEntry({ name: '../x' }));
  await expect(received).rejects.toMatchObject({ code: 'archive_path' });
  expect(spool.files()).toEqual([]);
});

describe('compression', () => {
  const tar = tarOf(before);
  test.each([
    ['gzip', gzipSync(tar)],
    ['gzip', gzipSync(randomBytes(2000))],
    ['gzip', gzipSync('')],
    ['xz', Buffer.from('fd377a585a000004e6d6b446', 'hex')],
    ['zip', Buffer.from('504b030414000000', 'hex')],
    ['zip', Buffer.concat([Buffer.from('504b0506', 'hex'), Buffer.alloc(18)])],
    ['bzip2', Buffer.concat([Buffer.from('BZh91AY&SY'), randomBytes(600)])],
    ['zstd', Buffer.concat([Buffer.from('28b52ffd', 'hex'), randomBytes(600)])],
  ])('%s is named, with advice', async (name, bytes) => {
    await expectRefusal(bytes, 'archive_compressed', new RegExp(`compressed with ${name}; send an uncompressed tar`));
  });

  test('a compression without a mark of its own is corruption', async () => {
    await expectRefusal(deflateSync(tar), 'archive_corrupt', /./);
    await expectRefusal(brotliCompressSync(tar), 'archive_corrupt', /./);
  });
});
