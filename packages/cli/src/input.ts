import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type ArchiveEntry, packArchive } from '@python-executor/client';
import { listDirectory, readEntry } from './directory.js';
import { UsageError } from './failure.js';

/** The program to send. */
export interface Input {
  readonly tar: Uint8Array;
  /** The one file that can be meant; undefined leaves it to the service. */
  readonly entrypoint?: string;
}

/** Compressed ones too, so that the service can say what is wrong with them. */
const tarName = /\.(tar(\.\w+)?|tgz)$/i;

/**
 * Reads the program that the command line names: `files` if there are any, else what `path` leads to.
 *
 * @returns undefined when it names none
 * @throws UsageError when something cannot be read
 */
export async function readInput(
  path: string | undefined,
  files: readonly string[] | undefined,
): Promise<Input | undefined> {
  if (files !== undefined) return readFiles(files);
  return path === undefined ? undefined : readPath(path);
}

/** Sends a program that came through a pipe. */
export async function packProgram(content: Uint8Array): Promise<Input> {
  if (content.length === 0) throw new UsageError('Cannot run: no program is given and stdin is empty');
  const entrypoint = 'main.py';
  return { tar: await packArchive([{ name: entrypoint, content }]), entrypoint };
}

/** Sends each file under its bare name, in the given order. */
async function readFiles(paths: readonly string[]): Promise<Input> {
  const pathByName = new Map<string, string>();
  for (const path of paths) {
    const name = basename(path);
    const other = pathByName.get(name);
    if (other !== undefined) throw new UsageError(`Cannot send both "${other}" and "${path}": both become "${name}"`);
    pathByName.set(name, path);
  }
  const entries: ArchiveEntry[] = [];
  for (const [name, path] of pathByName) {
    entries.push(await explained(path, () => readEntry(name, path)));
  }
  const [first, second] = pathByName.keys();
  return { tar: await packArchive(entries), ...(first !== undefined && second === undefined && { entrypoint: first }) };
}

/** Sends a tar as it is, a directory with all that is in it, a file under its bare name. */
async function readPath(path: string): Promise<Input> {
  const kind = await explained(path, () => stat(path));
  if (kind.isDirectory()) {
    return { tar: await packArchive(await explained(path, () => listDirectory(path))) };
  }
  if (!kind.isFile()) throw new UsageError(`Cannot send "${path}": it is neither a file nor a directory`);
  return tarName.test(path) ? { tar: await explained(path, () => readFile(path)) } : readFiles([path]);
}

async function explained<Value>(path: string, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const reason = code === 'ENOENT' ? 'there is no such file or directory' : message;
    throw new UsageError(`Cannot send "${path}": ${reason}`, { cause: error });
  }
}
