import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { engineEnvironment, engineImage } from './engine.js';
import type { Target } from './target.js';
import type { Workload } from './workloads.js';

/** `python3 main.py`, started by hand. */
export const barePython = commandTarget('bare python3', () => ['/usr/bin/python3', 'main.py']);

/** `docker run` of the same, with the image that the service has by default. */
export const dockerRun = commandTarget('docker run', (folder) => [
  ...['docker', 'run', '--rm', '-i', '--network', 'none', '-v', `${folder}:/work:ro`, '-w', '/work'],
  ...[engineImage, 'python3', 'main.py'],
]);

/** Starts a command in a folder of the workload's files and feeds it. */
function commandTarget(name: string, command: (folder: string) => readonly string[]): Target {
  const folders = new Map<Workload, string>();
  const folderOf = (workload: Workload): string => {
    const folder = folders.get(workload) ?? mkdtempSync(join(tmpdir(), 'pyexec-bench-'));
    if (folders.has(workload)) return folder;
    folders.set(workload, folder);
    for (const [path, content] of Object.entries(workload.files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    return folder;
  };
  return {
    name,
    async prepare(workload) {
      const folder = folderOf(workload);
      return () => runCommand(command(folder), folder, workload);
    },
    async close() {
      for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function runCommand(command: readonly string[], cwd: string, workload: Workload): Promise<void> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const options = { cwd, maxBuffer: 1 << 26, env: engineEnvironment };
    const child = execFile(program, args, options, (error, stdout) => {
      if (error !== null) reject(error);
      else if (stdout !== workload.stdout) reject(new Error(`${program} printed ${stdout.slice(0, 200)}`));
      else resolve();
    });
    // A program that reads nothing may be gone before its stdin was written.
    child.stdin?.on('error', () => {});
    child.stdin?.end(workload.stdin);
  });
}
