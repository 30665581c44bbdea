import type { Check } from '@python-executor/server';
import type { Command } from 'commander';
import { readConfiguration } from '../configuration.js';
import type { Context } from '../context.js';
import { interruptible } from '../interrupt.js';

interface DoctorFlags {
  readonly json?: true;
}

const explanation = `
Each line is: ok, warn or fail, what was looked at, what was found, and how to mend it.
It reads the variables that serve reads, runs print(1+1) through every backend and runtime
that could work, and leaves nothing behind. It pulls no image.

Exit code: 0 when a program ran through a backend that PYEXEC_BACKEND admits, 1 otherwise.

Examples:
  python-executor doctor
  sudo PYEXEC_BACKEND=oci PYEXEC_RUNTIME=runsc python-executor doctor
  python-executor doctor --json | jq '.checks[] | select(.status != "ok")'`;

export function addDoctorCommand(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('find out whether the service can run programs on this machine, and what is in the way')
    .option('--json', 'print one JSON object: {works, checks: [{name, status, finding, remedy}]}')
    .addHelpText('after', explanation)
    .action((flags: DoctorFlags) => examine(flags, context));
}

async function examine({ json }: DoctorFlags, { environment, stdout, setExitCode }: Context): Promise<void> {
  const config = await readConfiguration(environment);
  const { diagnose } = await import('@python-executor/server');
  // Some findings take seconds, so each is printed as it is made.
  const onCheck = (check: Check): void => {
    if (!json) stdout.write(`${lineOf(check)}\n`);
  };
  const diagnosis = await interruptible((signal) => diagnose(config, { signal, onCheck }));
  if (json) stdout.write(`${JSON.stringify(diagnosis, undefined, 2)}\n`);
  setExitCode(diagnosis.works ? 0 : 1);
}

function lineOf({ status, name, finding, remedy }: Check): string {
  return `${status.padEnd(4)}  ${name}: ${finding}${remedy === undefined ? '' : ` — ${remedy}`}`;
}
