import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a cgroup's directory unless it is there. */
export function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
}

/** Removes a cgroup and those below it. Nothing there is as good as removed. */
export function removeDirectory(path: string): void {
  for (const child of listDirectories(path)) removeDirectory(join(path, child));
  ignoring(['ENOENT'], () => rmdirSync(path));
}

export function listDirectories(path: string): readonly string[] {
  const entries = ignoring(['ENOENT'], () => readdirSync(path, { withFileTypes: true })) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** The text of a file; undefined when the cgroup or the file is not there. */
export function readText(path: string): string | undefined {
  return ignoring(['ENOENT', 'ENODEV'], () => readFileSync(path, 'utf8'));
}

/** The number behind a name in a file of such lines, or in a file of one number when no name is given. */
export function readNumber(path: string, name?: string): number | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  const digits = name === undefined ? text : text.split('\n').find((line) => line.startsWith(`${name} `));
  return digits === undefined ? undefined : Number(digits.slice(name === undefined ? 0 : name.length + 1));
}

export function write(path: string, value: number | string): void {
  writeFileSync(path, String(value));
}

/** Writes where the kernel has such a file. */
export function writeIfThere(path: string, value: number | string): boolean {
  return (
    ignoring(['ENOENT', 'EACCES', 'EOPNOTSUPP'], () => {
      write(path, value);
      return true;
    }) === true
  );
}

/** Process ids in a cgroup and those below it. */
export function readProcesses(path: string): readonly number[] {
  const own = (readText(join(path, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number);
  const below = listDirectories(path).flatMap((child) => readProcesses(join(path, child)));
  return below.length === 0 ? own : [...own, ...below];
}

/** Moves the processes of one cgroup of version 2, but not those below it, to another. */
export function moveProcesses(from: string, to: string): void {
  for (const processId of (readText(join(from, 'cgroup.procs')) ?? '').split('\n').filter(Boolean)) {
    // One that has just ended need not move.
    ignoring(['ESRCH'], () => write(join(to, 'cgroup.procs'), processId));
  }
}

/** Kills processes one by one; one that is gone already is fine. */
export function killEach(processIds: readonly number[], except: number | undefined): void {
  for (const processId of processIds) {
    // Zero is what a process of another PID namespace looks like from this one.
    if (processId !== except && processId > 0) ignoring(['ESRCH'], () => process.kill(processId, 'SIGKILL'));
  }
}

function ignoring<Value>(codes: readonly string[], action: () => Value): Value | undefined {
  try {
    return action();
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
