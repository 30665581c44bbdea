import type { Writable } from 'node:stream';

/** What a command knows of the process that it runs in. */
export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What follows `--` on the command line: arguments of the user's program, never ours. */
  readonly programArguments: readonly string[];
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Sets what the process exits with once nothing is left to do. */
  setExitCode(exitCode: number): void;
}

/** The context of this process. */
export function processContext(): Context {
  const { argv, env, stdin, stdout, stderr } = process;
  const dashes = argv.indexOf('--');
  return {
    environment: env,
    programArguments: dashes === -1 ? [] : argv.slice(dashes + 1),
    stdin,
    stdout,
    stderr,
    setExitCode: (exitCode) => {
      process.exitCode = exitCode;
    },
  };
}
