import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchiveRecord } from './messages.js';

/** Removes every spool file but those in `keep`. Only who holds the lock of the data directory may call it. */
export function sweepSpool(spoolDir: string, keep: ReadonlySet<string>): void {
  mkdirSync(spoolDir, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(spoolDir)) {
    const path = join(spoolDir, name);
    if (!keep.has(path)) rmSync(path, { recursive: true, force: true });
  }
}

/** Whether all of an archive is there still. */
export function isComplete({ path, sizeBytes }: ArchiveRecord): boolean {
  return path === undefined || statSync(path, { throwIfNoEntry: false })?.size === sizeBytes;
}
