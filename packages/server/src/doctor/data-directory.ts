import { constants } from 'node:fs';
import { access, mkdtemp, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Check, fail, ok, warn } from './check.js';
import { messageOf } from './probe.js';

const name = 'data directory';
const freeBytesMin = 512 * 1024 * 1024;
const remedy = 'make it writable, or set PYEXEC_DATA_DIR to another directory';

/** Whether the server could keep its records there. Nothing is made that stays. */
export async function checkDataDirectory(dataDir: string): Promise<Check> {
  if (dataDir === ':memory:') {
    return warn(
      name,
      'PYEXEC_DATA_DIR is ":memory:": executions do not outlive the server, and there are no images for oci',
    );
  }
  const path = JSON.stringify(dataDir);
  try {
    const existing = await nearestExisting(dataDir);
    if (!(await stat(existing)).isDirectory()) return fail(name, `${JSON.stringify(existing)} is no directory`, remedy);
    if (existing === dataDir) await rmdir(await mkdtemp(join(dataDir, '.doctor-')));
    else await access(existing, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(existing);
    const free = `${Math.round((bavail * bsize) / (1024 * 1024))} MB free`;
    if (bavail * bsize < freeBytesMin) return warn(name, `${path} has ${free}`, 'make room on its disk');
    return ok(name, `${path} ${existing === dataDir ? 'is writable' : 'can be made'}, ${free}`);
  } catch (error) {
    return fail(name, `${path} cannot be written to: ${messageOf(error)}`, remedy);
  }
}

async function nearestExisting(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return await nearestExisting(dirname(path));
  }
}
