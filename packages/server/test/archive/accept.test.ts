import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { receiveArchive } from '../../dist/archive/receive.js';
import { createSpool, streamOf } from './spool.js';
import { encodeEntry, entriesOf, pax, type RawEntry, tarOf } from './tar.js';

const spool = createSpool();

function receive(...entries: readonly RawEntry[]) {
  return receiveArchive(streamOf(tarOf(...entries)), spool.options());
}

describe('what is written', () => {
  test('files and directories become ours: owner, mode, time and path', async () => {
    const archive = await receive(
      { name: './', type: '5', mode: '0000700\0' },
      { name: './main.py', mode: '0004755\0', content: 'print(1)' },
      { name: 'data//', type: '5', mode: '0001777\0' },
      { name: 'data/./a..b.py', mode: '0000600\0', content: 'x' },
      { name: 'back\\slash.py', mode: '0000000\0' },
      { name: 'only-others.sh', mode: '0000001\0' },
    );
    const ours = { owner: '1000:1000', mtime: 0 };
    expect(await entriesOf(archive)).toEqual([
      { ...ours, name: 'main.py', type: 'file', mode: 0o755, content: 'print(1)' },
      { ...ours, name: 'data/', type: 'directory', mode: 0o755, content: '' },
      { ...ours, name: 'data/a..b.py', type: 'file', mode: 0o644, content: 'x' },
      { ...ours, name: 'back\\slash.py', type: 'file', mode: 0o644, content: '' },
      { ...ours, name: 'only-others.sh', type: 'file', mode: 0o755, content: '' },
    ]);
    expect(archive.files).toEqual(['main.py', 'data/a..b.py', 'back\\slash.py', 'only-others.sh']);
  });

  test('nothing of the client is in it but paths and contents', async () => {
    const marked = { name: 'a.py', content: 'print(1)', linkname: 'SECRET' };
    const archive = await receive(
      { name: 'pax_global_header', type: 'g', content: '16 comment=SECRET\n' },
      pax({ 'SCHILY.xattr.user.x': 'SECRET', uname: 'SECRET', mtime: '1.5' }),
      marked,
    );
    expect(Buffer.from(archive.bytes ?? '').includes('SECRET')).toBe(false);
    expect(archive.files).toEqual(['a.py']);
  });

  test('the same files give the same bytes, however they were sent', async () => {
    const one = await receive({ name: './a.py', mode: '0000600\0', content: 'x' });
    const other = await receive(pax({ path: 'a.py', size: '1' }), { name: 'zzz', content: 'x' });
    expect(one.bytes).toEqual(other.bytes);
    expect(one.sizeBytes).toBe(one.bytes?.length);
  });

  test('the same file twice is listed once, and the last wins', async () => {
    const archive = await receive({ name: 'a.py', content: '1' }, { name: 'b.py' }, { name: './a.py', content: '2' });
    expect(archive.files).toEqual(['a.py', 'b.py']);
    expect((await entriesOf(archive)).filter(({ name }) => name === 'a.py').at(-1)?.content).toBe('2');
  });

  test('the same directory twice, before and after what is in it, is accepted', async () => {
    const archive = await receive({ name: 'd/', type: '5' }, { name: 'd/x' }, { name: 'd', type: '5' });
    expect(archive.files).toEqual(['d/x']);
  });

  test('what says nothing is an archive without files', async () => {
    for (const bytes of [Buffer.alloc(512), Buffer.alloc(1024), Buffer.alloc(10_240)]) {
      const archive = await receiveArchive(streamOf(bytes), spool.options());
      expect(archive.files).toEqual([]);
      expect(archive.bytes).toEqual(Buffer.alloc(1024));
    }
  });
});

describe('dialects', () => {
  test('long names of ustar, GNU and pax are understood', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(90)}.py`;
    const archive = await receive(
      { prefix: 'd'.repeat(150), name: 'x.py' },
      { name: '././@LongLink', type: 'L', magic: 'ustar  \0', content: `${long}\0` },
      { name: long.slice(0, 100), magic: 'ustar  \0', content: 'gnu' },
      pax({ path: `${long}3`, mtime: '1700000000.25' }),
      { name: 'PaxHeader', content: 'pax' },
    );
    expect(archive.files).toEqual([`${'d'.repeat(150)}/x.py`, long, `${long}3`]);
    expect((await entriesOf(archive)).map(({ name, content }) => [name, content])).toEqual([
      [`${'d'.repeat(150)}/x.py`, ''],
      [long, 'gnu'],
      [`${long}3`, 'pax'],
    ]);
  });

  test('a pax header counts for the next entry only, a global one for none', async () => {
    const archive = await receive(
      { name: 'g', type: 'g', content: '14 path=evil\n' },
      pax({ path: 'first.py', size: '3' }),
      { name: 'x', content: 'abc', size: '00000000000\0' },
      { name: 'second.py', content: 'de' },
    );
    expect((await entriesOf(archive)).map(({ name, content }) => [name, content])).toEqual([
      ['first.py', 'abc'],
      ['second.py', 'de'],
    ]);
  });

  test('a pax record without a value is as good as none', async () => {
    expect((await receive(pax({ path: '', size: '' }), { name: 'a.py', content: 'x' })).files).toEqual(['a.py']);
  });

  test('old headers, contiguous files and small sizes in base 256 are accepted', async () => {
    const archive = await receive(
      { name: 'v7.py', magic: '\0'.repeat(8), type: '\0', content: '1' },
      { name: 'v7dir/', magic: '\0'.repeat(8), type: '\0' },
      { name: 'contiguous.py', type: '7', content: '2' },
      { name: 'base256.py', content: '3', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) },
      { name: 'blanks.py', content: '4', size: '         1 \0' },
      { name: '._main.py', content: 'AppleDouble' },
    );
    expect((await entriesOf(archive)).map(({ name, type, content }) => `${name} ${type} ${content}`)).toEqual([
      'v7.py file 1',
      'v7dir/ directory ',
      'contiguous.py file 2',
      'base256.py file 3',
      'blanks.py file 4',
      '._main.py file AppleDouble',
    ]);
  });

  test('names of GNU headers do not take a prefix from where GNU keeps other things', async () => {
    expect((await receive({ name: 'a.py', prefix: '12345670123', magic: 'ustar  \0' })).files).toEqual(['a.py']);
  });

  test('an archive whose end is missing is accepted when it stops between entries', async () => {
    const archive = await receiveArchive(streamOf(encodeEntry({ name: 'a.py', content: 'x' })), spool.options());
    expect(archive.files).toEqual(['a.py']);
  });

  test('a name that begins like a compressed file is accepted', async () => {
    expect((await receive({ name: 'BZh9.py' })).files).toEqual(['BZh9.py']);
    expect((await receive({ name: 'PK.py' })).files).toEqual(['PK.py']);
  });
});

describe('other programs', () => {
  test('archives of tar are read, in each of its formats', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pyexec-tree-'));
    try {
      const deep = join('d'.repeat(120), 'ü'.repeat(60));
      mkdirSync(join(directory, deep), { recursive: true });
      writeFileSync(join(directory, 'main.py'), 'print(1)');
      writeFileSync(join(directory, deep, 'x.py'), 'x'.repeat(700));
      chmodSync(join(directory, 'main.py'), 0o700);
      for (const format of ['gnu', 'pax', 'posix', 'oldgnu']) {
        const tar = execFileSync('tar', ['cf', '-', `--format=${format}`, '-C', directory, '.']);
        const archive = await receiveArchive(streamOf(tar), spool.options());
        expect([...archive.files].sort()).toEqual([`${deep}/x.py`, 'main.py']);
        const modes = (await entriesOf(archive)).filter(({ name }) => name.endsWith('.py')).map(({ mode }) => mode);
        expect(modes.sort()).toEqual([0o644, 0o755]);
      }
      const links = execFileSync('tar', ['cf', '-', '--format=v7', '-C', directory, 'main.py']);
      expect((await receiveArchive(streamOf(links), spool.options())).files).toEqual(['main.py']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('what is written is read by tar', async () => {
    const paths = [
      'main.py',
      `${'p'.repeat(150)}/${'n'.repeat(99)}`,
      `${'c'.repeat(255)}/x`,
      'ünï cödé/ file ',
      `${'dir'.repeat(40)}/`,
      ...[99, 100, 101].flatMap((length) => ['a'.repeat(length), `d/${'b'.repeat(length)}`]),
    ];
    const archive = await receive(
      ...paths.flatMap((path) => [pax({ path }), { name: 'x', content: path.endsWith('/') ? '' : 'content' }]),
    );
    const listed = execFileSync('tar', ['tf', '-', '--quoting-style=literal'], { input: await buffer(archive.open()) });
    expect(listed.toString().trimEnd().split('\n')).toEqual(paths.map((path) => path.trimEnd()).map(restoreBlank));
  });
});

/** Only the path that has a blank at its end. */
function restoreBlank(path: string): string {
  return path.endsWith(' file') ? `${path} ` : path;
}

describe('any tree', () => {
  test('comes out as it went in', async () => {
    const random = createRandom(20_260_101);
    for (let round = 0; round < 40; round++) {
      const files = randomFiles(random);
      const writer = pack();
      for (const [name, content] of files) writer.entry({ name }, content);
      writer.finalize();
      const sent = await buffer(writer);
      const options = spool.options({ memoryBytesMax: random(3) === 0 ? 0 : 1 << 20 });
      const archive = await receiveArchive(streamOf(sent, 1 + random(3000)), options);
      const found = (await entriesOf(archive)).map(({ name, content }) => [name, content]);
      expect(found).toEqual([...files].map(([name, content]) => [name, content.toString('latin1')]));
      expect(archive.files).toEqual([...files.keys()]);
      expect((await buffer(archive.open())).length).toBe(archive.sizeBytes);
      // What is canonical stays as it is.
      const again = await receiveArchive(archive.open(), options);
      expect(await buffer(again.open())).toEqual(await buffer(archive.open()));
      await Promise.all([archive.dispose(), again.dispose()]);
    }
    expect(spool.files()).toEqual([]);
  });
});

type Random = (below: number) => number;

/** A small generator with a seed (mulberry32), so that a failure can be repeated. */
function createRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function randomFiles(random: Random): Map<string, Buffer> {
  const alphabet = ['a', 'B', '7', '.', ' ', '-', '\\', 'é', '木', '🐍'];
  const component = (last: string) => {
    const length = 1 + random(random(4) === 0 ? 60 : 8);
    const text = Array.from({ length }, () => alphabet[random(alphabet.length)]).join('');
    return `x${text}${last}`;
  };
  const files = new Map<string, Buffer>();
  for (let count = random(12); count >= 0; count--) {
    const depth = random(random(5) === 0 ? 20 : 4);
    // Directories and files end differently, so that no name is both.
    const path = [...Array.from({ length: depth }, () => component('d')), component('f')].join('/');
    files.set(path, Buffer.alloc(random(random(4) === 0 ? 5000 : 600), random(256)));
  }
  return files;
}

test('a stream of single bytes is read', async () => {
  const tar = tarOf({ name: 'a.py', content: 'print(1)' });
  const source = Readable.from(Array.from(tar, (byte) => Buffer.from([byte])));
  expect((await receiveArchive(source, spool.options())).files).toEqual(['a.py']);
});
