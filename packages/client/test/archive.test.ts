import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type ArchiveEntry, packArchive } from '../dist/index.js';
import { listEntries } from './recorder.js';

describe('packArchive', () => {
  it('keeps names, contents, kinds and executable bits, in the given order', async () => {
    const tar = await packArchive([
      { name: 'main.py', content: 'print("ä")' },
      { name: 'empty.py', content: '' },
      { name: 'bin' },
      { name: 'bin/tool', content: new Uint8Array([0x68, 0x69]), executable: true },
    ]);
    expect(await listEntries(tar)).toEqual([
      { name: 'main.py', type: 'file', mode: 0o644, mtimeMs: 0, content: 'print("ä")' },
      { name: 'empty.py', type: 'file', mode: 0o644, mtimeMs: 0, content: '' },
      { name: 'bin/', type: 'directory', mode: 0o755, mtimeMs: 0, content: '' },
      { name: 'bin/tool', type: 'file', mode: 0o755, mtimeMs: 0, content: 'hi' },
    ]);
  });

  it.each([
    ['longer than a tar header has room for', `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}.py`],
    ['with one component of 255 bytes', 'x'.repeat(255)],
    ['outside ASCII', 'grüße/日本語.py'],
    ['outside ASCII and long', `${'ä'.repeat(60)}/${'日'.repeat(40)}.py`],
    ['with a space at its end', 'a file '],
  ])('keeps a name %s', async (_, name) => {
    const [entry] = await listEntries(await packArchive([{ name, content: '1' }]));
    expect(entry).toMatchObject({ name, content: '1' });
  });

  it("is read by Python's tarfile", async () => {
    const name = `${'ä'.repeat(60)}/${'日'.repeat(40)}.py`;
    const tar = await packArchive([{ name, content: 'print(1)' }]);
    const script = 'import sys,tarfile; print(*[m.name for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|")])';
    const options = { input: tar, env: { ...process.env, PYTHONIOENCODING: 'utf-8' } };
    expect(execFileSync('python3', ['-c', script], options).toString().trim()).toBe(name);
  });

  it('gives equal bytes for equal entries', async () => {
    const entries: ArchiveEntry[] = [{ name: 'ä.py', content: '1' }];
    expect(await packArchive(entries)).toEqual(await packArchive(entries));
  });

  it.each(['', 'main.py\0.txt'])('refuses the name %j, which a tar cannot carry', async (name) => {
    await expect(packArchive([{ name, content: '' }])).rejects.toThrow(TypeError);
  });
});
