import { describe, expect, test } from 'vitest';
import { archiveOfFiles } from '../../dist/archive/compose.js';
import { createSpool } from './spool.js';
import { entriesOf } from './tar.js';

const spool = createSpool();

describe('an archive of source files', () => {
  test('holds them as they were given', async () => {
    const archive = await archiveOfFiles(
      [
        { name: './main.py', content: 'print("hé")' },
        { name: 'pkg/mod.py', content: '' },
      ],
      spool.options(),
    );
    expect(archive.files).toEqual(['main.py', 'pkg/mod.py']);
    expect((await entriesOf(archive)).map(({ name, mode, content }) => [name, mode, content])).toEqual([
      ['main.py', 0o644, Buffer.from('print("hé")').toString('latin1')],
      ['pkg/mod.py', 0o644, ''],
    ]);
  });

  test.each(['../x', '/x', '', '.', 'a/', 'a\0b', 'a\nb', 'x/../y', '\ud800', 'a'.repeat(256)])(
    'refuses the name %j',
    async (name) => {
      const made = archiveOfFiles([{ name, content: 'x' }], spool.options({ memoryBytesMax: 0 }));
      await expect(made).rejects.toMatchObject({ code: 'archive_path' });
      expect(spool.files()).toEqual([]);
    },
  );

  test('refuses a name that is file and directory, too many files and too many bytes', async () => {
    const files = ['a', 'a/b'].map((name) => ({ name, content: 'x'.repeat(1000) }));
    const code = (error: { code: string }) => error.code;
    expect(await archiveOfFiles(files, spool.options()).catch(code)).toBe('archive_conflict');
    expect(await archiveOfFiles(files, spool.options({ entriesMax: 1 })).catch(code)).toBe('archive_too_many_entries');
    expect(await archiveOfFiles(files, spool.options({ bytesMax: 1000 })).catch(code)).toBe('archive_too_large');
  });

  test('goes to a file when it is large', async () => {
    const files = [{ name: 'a.py', content: 'x'.repeat(1_000_000) }];
    const archive = await archiveOfFiles(files, spool.options());
    expect(spool.files()).toHaveLength(1);
    expect((await entriesOf(archive))[0]?.content).toBe(files[0]?.content);
    await archive.dispose();
  });
});
