import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { receiveArchive } from '../../dist/archive/receive.js';
import { pax, type RawEntry, tarOf } from '../archive/tar.js';
import { type Agents, archiveLimits, openAgents } from './agent.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000, maxConcurrency: 4 });

let agents: Agents;

beforeAll(async () => {
  agents = await openAgents();
});
afterAll(() => agents?.close());

const list = `
import hashlib, json, os
found = {}
for path, directories, files in os.walk("."):
    for name in directories + files:
        full = os.path.join(path, name)
        status = os.stat(full)
        digest = "" if os.path.isdir(full) else hashlib.sha256(open(full, "rb").read()).hexdigest()[:8]
        found[full[2:]] = [oct(status.st_mode), status.st_uid, status.st_gid, status.st_size if digest else 0, digest]
print(json.dumps(found))
`;

/** What the program finds in /work, from a tar of its own. */
async function unpack(...entries: readonly RawEntry[]): Promise<Record<string, unknown[]>> {
  const tar = tarOf({ name: 'main.py', content: list }, ...entries);
  const archive = await receiveArchive(Readable.from([tar]), archiveLimits);
  try {
    const { stdout, stderr } = await agents.run({ archive });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  } finally {
    await archive.dispose();
  }
}

describe.concurrent('the files of a job', () => {
  test('are there, with their bits, and belong to the program', async () => {
    const found = await unpack(
      { name: 'a/b/c.txt', content: 'c' },
      { name: 'run.sh', content: '#!/bin/sh\n', mode: '0000755\0' },
      { name: 'setuid', content: 'x', mode: '0006777\0' },
      { name: 'empty', content: '' },
      { name: 'hollow', type: '5', mode: '0000700\0' },
    );
    expect(found).toMatchObject({
      a: ['0o40755', 1000, 1000, 0, ''],
      'a/b/c.txt': ['0o100644', 1000, 1000, 1, '2e7d2c03'],
      'run.sh': ['0o100755', 1000, 1000, 10, 'a8076d3d'],
      setuid: ['0o100755', 1000, 1000, 1, '2d711642'],
      empty: ['0o100644', 1000, 1000, 0, 'e3b0c442'],
      hollow: ['0o40755', 1000, 1000, 0, ''],
    });
  });

  test('may have any name', async () => {
    const long = `${'d'.repeat(200)}/${'e'.repeat(255)}`;
    const deep = Array.from({ length: 99 }, (_, index) => `${index}`).join('/');
    const accents = 'größe/✓ 🎉.txt';
    const odd = '--help; rm -rf $HOME \'"\\ *';
    const names = [long, deep, accents, odd, ' ', 'x'.repeat(100), `${'p'.repeat(155)}/${'n'.repeat(100)}`];
    const found = await unpack(
      ...names.flatMap((name): RawEntry[] => [pax({ path: name }), { name: 'short', content: '' }]),
    );
    for (const name of names) expect(found).toHaveProperty([name]);
  });

  test('of every size around a block are whole', async () => {
    const sizes = [1, 511, 512, 513, 1023, 1024, 65_535, 65_536, 65_537, 200_000, 3_000_000];
    const found = await unpack(...sizes.map((size) => ({ name: `f${size}`, content: 'x'.repeat(size) })));
    for (const size of sizes) expect(found[`f${size}`]?.[3]).toBe(size);
  });

  test('that are many are all there', async () => {
    const entries = Array.from({ length: 3_000 }, (_, index) => ({
      name: `d${index % 50}/f${index}`,
      content: `${index}`,
    }));
    expect(Object.keys(await unpack(...entries))).toHaveLength(3_000 + 50 + 1);
  });

  test('given twice are what they were last', async () => {
    const found = await unpack({ name: 'x', content: 'first' }, { name: 'x', content: 'last one' });
    expect(found.x?.[3]).toBe(8);
  });

  test('that do not fit run nothing', async () => {
    const big = tarOf({ name: 'main.py', content: 'print(1)' }, { name: 'big', content: Buffer.alloc(3_000_000) });
    const archive = await receiveArchive(Readable.from([big]), archiveLimits);
    const ran = await agents.run({ archive, spec: { diskBytes: 1024 * 1024 } });
    expect(ran).toMatchObject({ diskFull: true, phase: 'setup', stdout: '', stderr: '' });
    await archive.dispose();
  });
});
