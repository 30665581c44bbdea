import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** Where programs of the system are, in the usual order. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Finds a program of the host by name.
 *
 * @param name as it would stand in a command; one with a slash is a path already
 * @returns undefined when there is none
 */
export async function findExecutable(name: string): Promise<string | undefined> {
  const paths = name.includes('/') ? [name] : systemPath.split(':').map((directory) => join(directory, name));
  for (const path of paths) {
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
