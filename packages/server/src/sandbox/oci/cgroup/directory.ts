import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a cgroup's directory unless it is there. */
export function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
}

/** Removes a cgroup and those below it. Nothing there is as good as removed. */
export function removeDirectory(path: string): void {
  for (const child of listDirectories(path)) removeDirectory(join(path, child));
  removeEmptyDirectory(path);
}

/** Removes a cgroup that has none below it. Nothing there is as good as removed. */
export function removeEmptyDirectory(path: string): void {
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

/** Process ids in a cgroup, without those below it. */
export function readOwnProcesses(path: string): readonly number[] {
  return (readText(join(path, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number);
}

/** Process ids in a cgroup and those below it. */
export function readProcesses(path: string): readonly number[] {
  const own = readOwnProcesses(path);
  const below = listDirectories(path).flatMap((child) => readProcesses(join(path, child)));
  return below.length === 0 ? own : [...own, ...below];
}

/** Anonymous memory of the process in a cgroup, or below it, that has most, in bytes. */
export function readLargestProcess(path: string): number {
  const sizes = readProcesses(path).map((processId) => {
    const status = ignoring(['ENOENT', 'ESRCH'], () => readFileSync(`/proc/${processId}/status`, 'utf8')) ?? '';
    return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  });
  return Math.max(0, ...sizes);
}

/** Moves the processes of one cgroup of version 2, but not those below it, to another. */
export function moveProcesses(from: string, to: string): void {
  for (const processId of readOwnProcesses(from)) {
    // One that has just ended need not move.
    ignoring(['ESRCH'], () => write(join(to, 'cgroup.procs'), processId));
  }
}

/** Kills processes one by one; one that is gone already is fine. Returns how many were to be killed. */
export function killEach(processIds: readonly number[], except: number | undefined): number {
  const others = processIds.filter((processId) => processId !== except);
  for (const processId of others) {
    // Zero is what a process of another PID namespace looks like from this one.
    if (processId > 0) ignoring(['ESRCH'], () => process.kill(processId, 'SIGKILL'));
  }
  return others.length;
}

function ignoring<Value>(codes: readonly string[], action: () => Value): Value | undefined {
  try {
    return action();
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
