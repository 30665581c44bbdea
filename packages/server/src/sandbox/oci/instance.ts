import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { SandboxError } from '../../jobs/ports.js';

/** The directory of one start of a server, for as long as it lives. */
export interface Instance {
  /** One path component, different for every start of every server on this machine. */
  readonly name: string;
  readonly directory: string;
  /** Says that this start is over and removes the directory. */
  close(): Promise<void>;
}

/** A socket in the directory tells whether the server lives: the kernel refuses connections as soon as it does not. */
const socketName = 'alive';
/** The kernel takes paths of sockets up to this length. */
const socketPathBytesMax = 107;
/** While a directory is being made it has no socket yet. */
const unfinished = '.new-';

/** Where the starts of one server are, seen from all its starts. */
export function ownerDirectory(runtimeDir: string, ownerId: string): string {
  return join(runtimeDir, createHash('sha256').update(ownerId).digest('hex').slice(0, 12));
}

/**
 * Makes the directory of this start.
 *
 * @throws SandboxError `engine_unavailable` when it cannot be used
 */
export async function openInstance(runtimeDir: string, ownerId: string): Promise<Instance> {
  const owner = ownerDirectory(runtimeDir, ownerId);
  const id = randomBytes(6).toString('hex');
  const directory = join(owner, id);
  const making = join(owner, `${unfinished}${id}`);
  if (!/^\/[\w./-]+$/.test(directory) || Buffer.byteLength(join(making, socketName)) > socketPathBytesMax) {
    throw refusal(runtimeDir, 'it has to be an absolute path, short and without special characters');
  }
  try {
    for (const path of [runtimeDir, owner, making]) {
      await mkdir(path, { recursive: true });
      // Sandboxes have to get through, and have nothing to look for on their way.
      await chmod(path, 0o711);
    }
    await checkReachable(dirname(runtimeDir));
    const server = await listen(join(making, socketName));
    await rename(making, directory);
    return { name: `${owner.slice(-12)}.${id}`, directory, close: () => close(server, directory) };
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error instanceof SandboxError ? error : refusal(runtimeDir, (error as Error).message, error);
  }
}

/** The starts of whichever server that are over, by name and directory. */
export async function listDeadInstances(
  runtimeDir: string,
): Promise<readonly { readonly name: string; readonly directory: string }[]> {
  const dead = [];
  for (const owner of await readdir(runtimeDir).catch(() => [])) {
    for (const id of await readdir(join(runtimeDir, owner)).catch(() => [])) {
      const directory = join(runtimeDir, owner, id);
      if (id.startsWith(unfinished) || (await isAlive(join(directory, socketName)))) continue;
      dead.push({ name: `${owner}.${id}`, directory });
    }
  }
  return dead;
}

async function listen(path: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  server.listen(path);
  await once(server, 'listening');
  await chmod(path, 0o600);
  return server.unref();
}

async function isAlive(path: string): Promise<boolean> {
  const connection = connect(path);
  try {
    await once(connection, 'connect');
    return true;
  } catch (error) {
    // Whatever else is in the way does not tell that the server is gone.
    return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    connection.destroy();
  }
}

/** Removes the directory of a start that is over. */
export async function removeInstance(directory: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  // All of ours are in a namespace of their own. Whatever this one is, its files must not be removed with the rest.
  if (mounts.includes(` ${directory}/`)) throw new Error(`Something is mounted below "${directory}"`);
  await rm(directory, { recursive: true, force: true });
  // Goes with the last of its starts.
  await rmdir(dirname(directory)).catch(() => {});
}

async function close(server: Server, directory: string): Promise<void> {
  await removeInstance(directory);
  if (!server.listening) return;
  server.close();
  await once(server, 'close');
}

/** A user of a sandbox is nobody on the host and gets only where everybody does. */
async function checkReachable(directory: string): Promise<void> {
  const { mode } = await lstat(directory);
  if ((mode & 0o001) === 0) throw refusal(directory, 'only its owner can pass through it');
  if (directory !== '/') await checkReachable(dirname(directory));
}

function refusal(directory: string, reason: string, cause?: unknown): SandboxError {
  const message = `Cannot use ${JSON.stringify(directory)} for sandboxes: ${reason}`;
  return new SandboxError('engine_unavailable', message, { cause });
}
