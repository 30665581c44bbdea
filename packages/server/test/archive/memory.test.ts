import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createSpool } from './spool.js';
import { encodeEntry, endOfTar, type RawEntry } from './tar.js';

const spool = createSpool();
const growthBytesMax = 64 * 1024 * 1024;
const mebibyte = Buffer.alloc(1024 * 1024, 0x78);

interface Outcome {
  readonly files?: number;
  readonly sizeBytes?: number;
  readonly code?: string;
  readonly message?: string;
  readonly growthBytes: number;
  readonly left: readonly string[];
}

/** Sends an upload to a process of its own. */
async function receiveElsewhere(upload: Iterable<Buffer>, shell = 'exec "$@"'): Promise<Outcome> {
  const receiver = fileURLToPath(new URL('receiver.mjs', import.meta.url));
  const child = spawn('sh', ['-c', shell, 'sh', process.execPath, receiver, spool.path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // After a refusal nobody reads the rest.
  child.stdin.on('error', () => {});
  Readable.from(upload).pipe(child.stdin);
  return (await json(child.stdout)) as Outcome;
}

function* files(count: number, content: Buffer): Iterable<Buffer> {
  for (let index = 0; index < count; index++) yield encodeEntry({ name: `src/pkg${index % 50}/f${index}`, content });
  yield endOfTar;
}

function* endless(...start: readonly RawEntry[]): Iterable<Buffer> {
  for (const entry of start) yield encodeEntry(entry);
  for (let count = 0; count < 100; count++) yield mebibyte;
}

describe('memory stays flat', () => {
  test('with 100 MB in 2,000 files', async () => {
    const content = Buffer.alloc(50_000, 0x79);
    const { growthBytes, ...outcome } = await receiveElsewhere(files(2_000, content));
    expect(outcome).toEqual({ files: 2_000, sizeBytes: 2_000 * (512 + 50_176) + 1024, left: [] });
    expect(growthBytes).toBeLessThan(growthBytesMax);
  });

  test('with 100 MB in one file', async () => {
    const { growthBytes, ...outcome } = await receiveElsewhere(
      endless({ name: 'data', size: `${(100 * mebibyte.length).toString(8).padStart(11, '0')}\0` }),
    );
    expect(outcome).toEqual({ files: 1, sizeBytes: 512 + 100 * mebibyte.length + 1024, left: [] });
    expect(growthBytes).toBeLessThan(growthBytesMax);
  });

  test.each(['x', 'g', 'L', 'K'])('with an extended header of type %s that goes on for 1 GiB', async (type) => {
    const { growthBytes, ...outcome } = await receiveElsewhere(endless({ name: 'p', type, size: '10000000000\0' }));
    expect(outcome).toMatchObject({ code: 'archive_corrupt', left: [] });
    expect(growthBytes).toBeLessThan(growthBytesMax);
  });

  test('with 100 pax headers of nearly 1 MiB each', async () => {
    const value = mebibyte.subarray(0, 1_000_000 - '1000000 comment=\n'.length);
    const content = Buffer.concat([Buffer.from('1000000 comment='), value, Buffer.from('\n')]);
    function* bombs() {
      for (let index = 0; index < 100; index++) {
        yield encodeEntry({ name: 'p', type: 'x', content });
        yield encodeEntry({ name: `f${index}` });
      }
      yield endOfTar;
    }
    const { growthBytes, ...outcome } = await receiveElsewhere(bombs());
    expect(outcome).toMatchObject({ files: 100, left: [] });
    expect(growthBytes).toBeLessThan(growthBytesMax);
  });
});

test('a disk that takes no more is the fault of the service, and nothing is left on it', async () => {
  // The shell's limit of file sizes, in blocks of 512 or 1,024 bytes, stands for the end of the disk.
  const { code, message, left } = await receiveElsewhere(files(100, mebibyte), 'ulimit -f 8192 && exec "$@"');
  expect([code, message, left]).toEqual(['store_unavailable', 'Cannot spool archive: EFBIG', []]);
});
