import { type Command, InvalidArgumentError, Option } from 'commander';

/** The flags that every command knows; they may stand before or after its name. */
export interface Flags {
  readonly server: string;
  /** Seconds; 0 means the server's default, here and below. */
  readonly timeout?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly cpu?: number;
  readonly network?: true;
  readonly image?: string;
  readonly async?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

const defaultServer = 'http://localhost:8080';

export function addGlobalFlags(program: Command): void {
  program
    .addOption(
      new Option('--server <url>', 'address of the service')
        .env('PYEXEC_SERVER')
        .default(defaultServer)
        .argParser(parseServer),
    )
    .option('--timeout <seconds>', "time limit of the program, 0 = the server's default", parseWholeNumber)
    .option('--memory <mb>', "memory limit in MiB, 0 = the server's default", parseWholeNumber)
    .option('--disk <mb>', "space for files in MiB, 0 = the server's default", parseWholeNumber)
    .option('--cpu <shares>', "relative CPU weight, 0 = the server's default", parseWholeNumber)
    .option('--network', 'let the program reach the public internet')
    .option('--image <name>', "container image that brings the interpreter (default: the server's)")
    .option('--async', 'submit, print the id of the execution and do not wait')
    .addOption(new Option('-q, --quiet', "print the program's stdout and nothing else").conflicts('verbose'))
    .option('-v, --verbose', 'print id, status, exit code, duration and usage of the execution on stderr');
}

/** The flags of a command, its own and the global ones. */
export function readFlags<Own extends object>(command: Command): Flags & Own {
  return command.optsWithGlobals<Flags & Own>();
}

/** Parses a flag that takes a whole number. */
export function parseWholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be a whole number, 0 or more.');
}

function parseServer(text: string): string {
  // An empty variable is as good as none.
  if (text === '') return defaultServer;
  const protocol = URL.canParse(text) ? new URL(text).protocol : undefined;
  if (protocol === 'http:' || protocol === 'https:') return text.replace(/\/+$/, '');
  throw new InvalidArgumentError(`It must be an http or https URL such as ${defaultServer}.`);
}
