import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { postParts, refusalOf, refused, run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { filesBelow } from '../support/machine.js';
import { encodeEntry, endOfTar, pax, type RawEntry, tarOf } from '../support/tar.js';

const service = serviceForFile();
const growthBytesMax = 64 * 1024 * 1024;
const main: RawEntry = { name: 'main.py', content: 'print("ran")' };

async function codeOf(...entries: readonly RawEntry[]): Promise<string> {
  const { status, code } = await refused(service, tarOf(main, ...entries));
  expect(await filesBelow(`${service.dataDir}/spool`)).toEqual([]);
  return `${status} ${code}`;
}

describe('1: a path', () => {
  test.each(['../x', '/x', 'a/../../x', 'a/../x', '..', './..', 'a/..', '/', '//x', 'a//../x'])(
    'that could leave the directory is refused: %s',
    async (name) => {
      expect(await codeOf({ name })).toBe('400 archive_path');
      expect(await codeOf(pax({ path: name }), { name: 'x' })).toBe('400 archive_path');
    },
  );

  test('that only looks like it is fine', async () => {
    const program = tarOf(
      { name: './main.py', content: 'import os; print(sorted(os.listdir()))' },
      { name: 'a..b.py' },
      { name: '...' },
    );
    expect((await run(service, program)).stdout).toBe("['...', 'a..b.py', 'main.py']\n");
  });
});

describe('2 and 3: an entry that is no file', () => {
  test.each([
    ['a symbolic link out', { name: 'x', type: '2', linkname: '/etc/passwd' }],
    ['a symbolic link inside', { name: 'x', type: '2', linkname: 'main.py' }],
    ['a hard link', { name: 'x', type: '1', linkname: 'main.py' }],
    ['a hard link out', { name: 'x', type: '1', linkname: '../../etc/passwd' }],
    ['a character device', { name: 'x', type: '3' }],
    ['a block device', { name: 'x', type: '4' }],
    ['a fifo', { name: 'x', type: '6' }],
    ['a sparse file', { name: 'x', type: 'S' }],
    ['of an unknown type', { name: 'x', type: 'Z' }],
  ])('is refused by name: %s', async (_name, entry) => {
    const { status, code, error } = await refused(service, tarOf(main, entry));
    expect([status, code]).toEqual([400, 'archive_entry_type']);
    expect(error).toContain('"x"');
  });

  test('and has a file below it is refused for itself', async () => {
    const entries = [
      { name: 'd', type: '2', linkname: '/etc' },
      { name: 'd/passwd', content: 'root' },
    ];
    expect(await codeOf(...entries)).toBe('400 archive_entry_type');
  });
});

test('4: setuid bits and foreign owners are accepted and gone', async () => {
  const program = tarOf(
    {
      name: 'main.py',
      content: 'import os\nfor n in ("tool", "plain"):\n s = os.stat(n); print(oct(s.st_mode), s.st_uid, s.st_gid)',
    },
    { name: 'tool', mode: '0006777', uid: '0000000' },
    { name: 'plain', mode: '0001644', uid: '0001750' },
  );
  const lines = (await run(service, program)).stdout.trim().split('\n');
  expect(lines).toEqual([expect.stringMatching(/^0o1007[57][57] 1000 1000$/), '0o100644 1000 1000']);
});

describe('5: what is no proper tar', () => {
  const sizes: readonly (readonly [string, RawEntry])[] = [
    ['a negative size', { name: 'x', size: Buffer.from('ffffffffffffffffffffffff', 'hex') }],
    ['a size of base 256 that is huge', { name: 'x', size: Buffer.from('80ffffffffffffffffffffff', 'hex') }],
    ['a size that is no number', { name: 'x', size: '0000000zzzz\0' }],
    ['a size with a sign', { name: 'x', size: '-0000000001\0' }],
    ['a wrong checksum', { name: 'x', checksumFault: 1 }],
    ['a pax size that is negative', { ...pax({ size: '-1' }) }],
  ];
  test.each(sizes)('is refused: %s', async (_name, entry) => {
    expect(await codeOf(entry, { name: 'y' })).toBe('400 archive_corrupt');
  });

  const whole = tarOf(main, { name: 'data', content: Buffer.alloc(5000, 'x') });
  test.each([
    ['nothing at all', Buffer.alloc(0)],
    ['half a header', whole.subarray(0, 300)],
    ['half an entry', whole.subarray(0, 2048)],
    ['an entry without its padding', whole.subarray(0, 1024 + 512 + 5000)],
    ['random bytes', Buffer.from(Array.from({ length: 10_240 }, (_, index) => (index * 7919 + 13) % 251))],
    ['text', Buffer.from('print("hello")\n'.repeat(100))],
    ['something after the end', Buffer.concat([whole, encodeEntry({ name: 'late' })])],
  ])('is refused: %s', async (_name, bytes) => {
    const { status, code } = await refused(service, bytes);
    expect([status, code]).toEqual([400, 'archive_corrupt']);
  });
});

describe('6: an archive that would cost memory', () => {
  async function growth(act: () => Promise<void>): Promise<number> {
    const before = await service.residentBytes();
    await act();
    return (await service.residentBytes()) - before;
  }

  test('with a pax header over 1 MiB is refused', async () => {
    const header = { name: 'p', type: 'x', content: Buffer.alloc(1024 * 1024 + 1, 'x') };
    expect(
      await growth(async () => expect(await codeOf(header, { name: 'x' })).toBe('400 archive_corrupt')),
    ).toBeLessThan(growthBytesMax);
  });

  test('with 100,000 empty files is refused', async () => {
    const files = Array.from({ length: 100_000 }, (_, index) => encodeEntry({ name: `f${index}` }));
    const tar = Buffer.concat([encodeEntry(main), ...files, endOfTar]);
    const grown = await growth(async () => {
      const { status, code } = await refused(service, tar);
      expect([status, code]).toEqual([413, 'archive_too_many_entries']);
    });
    expect(grown).toBeLessThan(growthBytesMax);
  });

  test('with a million directories that have no entry of their own is refused', async () => {
    const deep = (index: number) =>
      Array.from({ length: 45 }, (_, level) => `${index}${level}`)
        .join('/')
        .slice(0, 95);
    const files = Array.from({ length: 9_000 }, (_, index) => encodeEntry({ name: `${index}/${deep(index)}` }));
    const { status, code } = await refused(service, Buffer.concat([encodeEntry(main), ...files, endOfTar]));
    expect([status, code]).toEqual([413, 'archive_too_many_entries']);
  });
});

describe('7: names', () => {
  test('that come twice: the last wins', async () => {
    const program = tarOf(
      main,
      { name: 'x', content: 'old' },
      { name: 'main.py', content: 'print(open("x").read())' },
      { name: './x', content: 'new' },
    );
    expect((await run(service, program)).stdout).toBe('new\n');
  });

  test.each<[string, readonly RawEntry[]]>([
    ['file first', [{ name: 'x' }, { name: 'x/', type: '5' }]],
    ['directory first', [{ name: 'x/', type: '5' }, { name: 'x' }]],
    ['file below a file', [{ name: 'x' }, { name: 'x/y' }]],
    ['file above a file', [{ name: 'x/y' }, { name: 'x' }]],
  ])('of a file and a directory are refused: %s', async (_name, entries) => {
    expect(await codeOf(...entries)).toBe('400 archive_conflict');
  });

  test.each<[string, readonly RawEntry[]]>([
    ['bytes that are not UTF-8', [{ name: Buffer.from([0x78, 0xff]) }]],
    ['a line break', [{ name: 'a\nb' }]],
    ['an escape', [{ name: 'a\u001b[2Jb' }]],
    ['a component of 256 bytes', [pax({ path: 'x'.repeat(256) }), { name: 'x' }]],
    ['101 levels', [pax({ path: 'x/'.repeat(100).concat('x') }), { name: 'x' }]],
    ['nothing in it', [{ name: '' }]],
  ])('are refused with %s', async (_name, entries) => {
    expect(await codeOf(...entries)).toBe('400 archive_path');
  });

  test('as long and as deep as may be arrive', async () => {
    const long = 'é'.repeat(127);
    const deep = `${'d/'.repeat(99)}x`;
    const check = `import os; print(os.path.exists(${JSON.stringify(long)}), os.path.exists(${JSON.stringify(deep)}))`;
    const program = tarOf(
      { name: 'main.py', content: check },
      pax({ path: long }),
      { name: 'l' },
      pax({ path: deep }),
      { name: 'd' },
    );
    expect((await run(service, program)).stdout).toBe('True True\n');
  });
});

describe('8: an archive that is compressed', () => {
  const tar = tarOf(main);
  test.each([
    ['gzip', gzipSync(tar)],
    ['xz', Buffer.concat([Buffer.from('fd377a585a00', 'hex'), tar])],
    ['bzip2', Buffer.concat([Buffer.from('BZh91AY&SY'), tar])],
    ['zip', Buffer.concat([Buffer.from('PK\u0003\u0004'), tar])],
    ['zip that is empty', Buffer.concat([Buffer.from('PK\u0005\u0006'), Buffer.alloc(18)])],
    ['zstd', Buffer.concat([Buffer.from('28b52ffd', 'hex'), tar])],
  ])('is refused as such: %s', async (_name, bytes) => {
    const { status, code } = await refused(service, bytes);
    expect([status, code]).toEqual([400, 'archive_compressed']);
  });
});

test('an archive that is refused is refused whatever else the request has, and before anything runs', async () => {
  const bad = tarOf({ name: '../x' });
  const metadata = { name: 'metadata', content: '{}' };
  const tar = { name: 'tar', filename: 'x.tar', content: bad };
  for (const parts of [[tar, metadata], [metadata, tar], [tar]]) {
    expect(refusalOf(await postParts(service, 'async', parts)).code).toBe('archive_path');
  }
});
