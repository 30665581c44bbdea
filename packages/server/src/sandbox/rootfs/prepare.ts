import { chmod, lchown, lstat, mkdir, readlink, rm, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { temporaryDirectory, workDirectory } from '../containment.js';
import { machineFiles } from './configuration.js';
import { systemPath } from './executable.js';
import { ToolError } from './tool.js';

/** Where sandboxes get something mounted. */
const mountPoints = ['/dev', '/proc', '/sys', temporaryDirectory, workDirectory];

const interpreter = 'python3';
const linksMax = 40;

/**
 * Makes an unpacked root file system fit for sandboxes, which share it and cannot write to it. No link of the image is
 * followed on the way: it would lead into the host.
 *
 * @throws ToolError when there is no interpreter in it
 */
export async function prepareRoot(
  root: string,
  options: { readonly owner: number; readonly environment: readonly string[] },
): Promise<void> {
  const { owner, environment } = options;
  const path = environment.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? systemPath;
  if (!(await hasProgram(root, path.split(':')))) throw new ToolError(`it has no ${interpreter}`);
  for (const name of mountPoints) await makeDirectory(join(root, name), owner);
  // Some runtimes give a file system the mode of the directory that it is mounted on.
  await chmod(join(root, temporaryDirectory), 0o1777);
  const etc = join(root, 'etc');
  await makeDirectory(etc, owner);
  for (const [name, text] of Object.entries(machineFiles)) {
    const file = join(etc, name);
    await rm(file, { recursive: true, force: true });
    await writeFile(file, text, { flag: 'wx' });
    await chmod(file, 0o644);
    await lchown(file, owner, owner);
  }
}

/** Puts a directory in the place of whatever is there. */
async function makeDirectory(path: string, owner: number): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory()) return;
  await rm(path, { force: true });
  await mkdir(path);
  await chmod(path, 0o755);
  await lchown(path, owner, owner);
}

async function hasProgram(root: string, directories: readonly string[]): Promise<boolean> {
  for (const directory of directories) {
    if (await isProgram(root, posix.join('/', directory, interpreter))) return true;
  }
  return false;
}

/** Whether a path leads to a program when links are taken as they are seen from inside. */
async function isProgram(root: string, path: string): Promise<boolean> {
  let rest = path.split('/').filter(Boolean);
  let resolved = '/';
  for (let links = 0; rest.length > 0; ) {
    const next = posix.resolve(resolved, rest[0] as string);
    rest = rest.slice(1);
    const stats = await lstat(join(root, next)).catch(() => undefined);
    if (stats === undefined) return false;
    if (!stats.isSymbolicLink()) {
      resolved = next;
      if (rest.length === 0) return stats.isFile() && (stats.mode & 0o111) !== 0;
      continue;
    }
    links += 1;
    if (links > linksMax) return false;
    const target = await readlink(join(root, next));
    if (posix.isAbsolute(target)) resolved = '/';
    rest = [...target.split('/').filter(Boolean), ...rest];
  }
  return false;
}
