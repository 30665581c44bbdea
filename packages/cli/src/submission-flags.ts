import type { Command } from 'commander';
import type { Context } from './context.js';
import { UsageError } from './failure.js';

/** The flags of the commands that submit a program. */
export interface SubmissionFlags {
  readonly file?: readonly string[];
  readonly entrypoint?: string;
  readonly requirements?: string;
  readonly env?: readonly string[];
}

const help = `
The program is, in this order: what --file names; a .tar; a directory; a file; what is
piped in, as main.py. The entrypoint is the one file that was given, else main.py, else
__main__.py, else the first .py.

With a path or --file, what is piped in becomes the stdin of the program. It is read to
its end first; write < /dev/null where stdin is a pipe that does not end.`;

/** Declares the arguments and flags of a command that submits a program. */
export function addSubmissionFlags(command: Command): Command {
  return command
    .usage('[options] [file|dir|tar] [-- args…]')
    .argument('[path]', 'file, directory or uncompressed .tar; default: the program is piped in')
    .argument('[args...]', 'after --: the arguments of the program')
    .option('--file <path>', 'file to send under its bare name; repeatable', collect)
    .option('--entrypoint <name>', 'file to run')
    .option('--requirements <file>', 'requirements file of packages to install')
    .option('-e, --env <VAR[=value]>', 'environment variable; without a value it keeps ours; repeatable', collect)
    .addHelpText('after', help)
    .showHelpAfterError('(arguments of the program follow "--"; see --help)');
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** The path among the operands; what follows `--` is none of them. */
export function pathOf(operands: readonly string[], context: Context): string | undefined {
  const [path, unexpected] = operands.slice(0, operands.length - context.programArguments.length);
  if (unexpected !== undefined) {
    throw new UsageError(`Unexpected argument "${unexpected}": arguments of the program follow "--"`);
  }
  return path;
}
