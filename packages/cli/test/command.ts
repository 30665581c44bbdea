import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const bin = fileURLToPath(new URL('../bin/python-executor.js', import.meta.url));

export interface CommandOptions {
  readonly server?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What is piped in; absent means that there is nothing to read. */
  readonly stdin?: string | Uint8Array;
}

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the real command; its stdin stays open. */
export function start(args: readonly string[], options: CommandOptions = {}): ChildProcessWithoutNullStreams {
  const { PATH } = process.env;
  const { server, env, cwd } = options;
  return spawn(process.execPath, [bin, ...args], {
    env: { PATH, ...(server && { PYEXEC_SERVER: server }), ...env },
    ...(cwd && { cwd }),
  });
}

/** Runs the real command to its end. */
export async function run(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const child = start(args, options);
  child.stdin.on('error', () => {});
  child.stdin.end(options.stdin);
  return outcomeOf(child);
}

export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const [[exitCode], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { exitCode: exitCode as number | null, stdout, stderr };
}

export interface Folder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes a directory with the given files in it. */
export async function makeFolder(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'python-executor-cli-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
