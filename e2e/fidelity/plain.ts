import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Ended, filesOf, type Program } from './program.js';

/** Plain Python in a place of its own. */
export interface Plain {
  /** Runs `python3 main.py`, one program after the other. */
  run(program: Program): Promise<Ended>;
  close(): Promise<void>;
}

/** Source of the program that runs the others. */
export const driver = readFileSync(new URL('plain.py', import.meta.url), 'utf8');

interface Answer {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Takes a process that runs `plain.py`. */
export function openPlain(command: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Plain {
  const [name, ...args] = command;
  const child: ChildProcess = spawn(name, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('The process has no pipes');
  const exit = once(child, 'exit');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();

  async function runNext(program: Program): Promise<Ended> {
    stdin?.write(`${JSON.stringify(describe(program))}\n`);
    const line = await lines.next();
    if (line.done) throw new Error(`Plain Python ended while it ran "${program.name}"`);
    const answer: Answer = JSON.parse(line.value);
    if (answer.exitCode === null) throw new Error(`Plain Python took too long for "${program.name}"`);
    return { stdout: decode(answer.stdout), stderr: decode(answer.stderr), exitCode: answer.exitCode };
  }

  return {
    run(program) {
      const next = last.then(() => runNext(program));
      last = next.catch(() => {});
      return next;
    },
    async close() {
      stdin.end();
      await exit;
    },
  };
}

function describe(program: Program): unknown {
  const files = Object.entries(filesOf(program)).map(([name, content]) => [
    name,
    Buffer.from(content as string).toString('base64'),
  ]);
  return {
    files: Object.fromEntries(files),
    executable: program.executable ?? [],
    entrypoint: program.entrypoint ?? 'main.py',
    args: program.args ?? [],
    env: program.env ?? [],
    stdin: program.stdin ?? '',
  };
}

function decode(base64: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(base64, 'base64'));
}
