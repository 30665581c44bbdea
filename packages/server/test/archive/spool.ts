import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll } from 'vitest';
import type { ArchiveOptions } from '../../dist/archive/limits.js';

/** A spool directory for the tests of one file. */
export function createSpool() {
  const spoolDir = mkdtempSync(join(tmpdir(), 'pyexec-archive-'));
  afterAll(() => rmSync(spoolDir, { recursive: true, force: true }));
  const defaults: ArchiveOptions = {
    entriesMax: 10_000,
    depthMax: 100,
    componentBytesMax: 255,
    bytesMax: 100 * 1024 * 1024,
    memoryBytesMax: 256 * 1024,
    spoolDir,
  };
  return {
    path: spoolDir,
    files: () => readdirSync(spoolDir),
    options: (changes: Partial<ArchiveOptions> = {}): ArchiveOptions => ({ ...defaults, ...changes }),
  };
}

/** A stream of these bytes in pieces of a size. */
export function streamOf(bytes: Buffer, pieceBytes = 64 * 1024): Readable {
  let offset = 0;
  return new Readable({
    read() {
      const piece = bytes.subarray(offset, offset + pieceBytes);
      offset += piece.length;
      this.push(piece.length > 0 ? piece : null);
    },
  });
}
