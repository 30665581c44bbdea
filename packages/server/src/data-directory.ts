import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a server keeps between its starts. */
export interface DataDirectory {
  /** Where archives lie that are too big for memory. */
  readonly spoolDir: string;
  /** Where unpacked images lie. */
  readonly imagesDir: string;
  /** The same for every start on this directory, and for no other. */
  readonly ownerId: string;
  close(): Promise<void>;
}

const inMemory = ':memory:';

/** Opens a data directory, making what is missing; for `:memory:` a temporary one that goes with the server. */
export async function openDataDirectory(dataDir: string): Promise<DataDirectory> {
  if (dataDir === inMemory) {
    const temporary = await mkdtemp(join(tmpdir(), 'python-executor-'));
    return {
      spoolDir: temporary,
      imagesDir: imagesDirOf(temporary),
      ownerId: randomUUID(),
      close: () => rm(temporary, { recursive: true, force: true }),
    };
  }
  const spoolDir = join(dataDir, 'spool');
  await mkdir(spoolDir, { recursive: true, mode: 0o700 });
  const ownerId = await readOwnerId(join(dataDir, 'owner'));
  return { spoolDir, imagesDir: imagesDirOf(dataDir), ownerId, close: async () => {} };
}

/** Where the images of a data directory lie, for commands that run beside a server. */
export function imagesDirOf(dataDir: string): string {
  return join(dataDir, 'images');
}

async function readOwnerId(path: string): Promise<string> {
  try {
    await writeFile(path, randomUUID(), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await readFile(path, 'utf8')).trim();
}
