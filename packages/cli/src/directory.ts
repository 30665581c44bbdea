import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { ArchiveEntry } from '@python-executor/client';
import { UsageError } from './failure.js';

/** What is left out, at every level: bytecode of another interpreter, and history. */
const skippedNames: ReadonlySet<string> = new Set(['__pycache__', '.git']);

/**
 * Lists everything below a directory the way the Python client does: at each level first the files by name, then the
 * sub-directories by name, so that a script at the top comes before those further down. Sockets, pipes and devices are
 * left out. A symbolic link to a file inside the directory becomes that file's content.
 *
 * @throws UsageError when a symbolic link leads anywhere else
 */
export async function listDirectory(root: string): Promise<readonly ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const waiting = [{ path: root, prefix: '' }];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    if (directory.prefix !== '') entries.push({ name: directory.prefix.slice(0, -1) });
    const children = [];
    for (const child of await readSorted(directory.path)) {
      const path = join(directory.path, child.name);
      const name = directory.prefix + child.name;
      if (child.isDirectory()) children.push({ path, prefix: `${name}/` });
      else if (child.isFile()) entries.push(await readEntry(name, path));
      else if (child.isSymbolicLink()) entries.push(await readEntry(name, await targetOf(path, root)));
    }
    waiting.push(...children.reverse());
  }
  return entries;
}

/** Reads one file. */
export async function readEntry(name: string, path: string): Promise<ArchiveEntry> {
  const [content, { mode }] = await Promise.all([readFile(path), stat(path)]);
  return { name, content, executable: (mode & 0o100) !== 0 };
}

async function readSorted(path: string) {
  const children = await readdir(path, { withFileTypes: true });
  return children
    .filter((child) => !skippedNames.has(child.name))
    .sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
}

async function targetOf(link: string, root: string): Promise<string> {
  const target = await realpath(link).catch(() => '');
  const inside = join(await realpath(root), sep);
  if (target.startsWith(inside) && (await stat(target)).isFile()) return target;
  throw new UsageError(`Cannot send symbolic link "${link}": it does not lead to a file inside "${root}"`);
}
