import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';

/** A name for processes that no other process has, as long as the kernel allows. */
export function processName(): string {
  return `t-${randomUUID().slice(0, 13)}`;
}

/** A line of Python by which a program and whatever it forks from then on bear the name. */
export function takeName(name: string): string {
  return `with open("/proc/self/comm", "w") as comm: comm.write("${name}")`;
}

/** Ids of the processes of this machine that bear the name, or have it in their command line; in sandboxes too. */
export async function processesNamed(name: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(ids.map(async (id) => ((await describe(id)).includes(name) ? [id] : [])));
  return found.flat();
}

async function describe(processId: string): Promise<string> {
  const texts = ['comm', 'cmdline'].map((file) => readFile(`/proc/${processId}/${file}`, 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\0');
}

/** Paths of the files below a directory, at any depth. */
export async function filesBelow(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true });
  const files = await Promise.all(
    names.map(async (name) => ((await stat(`${directory}/${name}`)).isFile() ? [name] : [])),
  );
  return files.flat();
}
