import type { Command } from 'commander';
import { connect } from '../connection.js';
import type { Context } from '../context.js';
import { explainServerFault } from '../failure.js';
import { type Flags, readFlags } from '../flags.js';
import { interruptible } from '../interrupt.js';
import { exitCodeOf, printResult } from '../report.js';
import { readSubmission, type Submission } from '../submission.js';
import { addSubmissionFlags, pathOf, type SubmissionFlags } from '../submission-flags.js';

const examples = `
Examples:
  python-executor run script.py -- --name value
  python-executor run ./project --entrypoint tool.py --timeout 30
  cat main.py | python-executor run
  python-executor run script.py --requirements requirements.txt -e API_KEY < input.txt`;

export function addRunCommand(program: Command, context: Context): void {
  addSubmissionFlags(program.command('run'))
    .description('run a program, print what it prints and exit with its exit code')
    .addHelpText('after', examples)
    .action(async (_path, _arguments, _flags, command: Command) => {
      const flags = readFlags<SubmissionFlags>(command);
      const path = pathOf(command.args, context);
      if (path === undefined && flags.file === undefined && context.stdin.isTTY) {
        context.stderr.write('error: No program: name a file, a directory or a .tar, or pipe one in\n\n');
        command.help({ error: true });
      }
      await interruptible(async (signal) => {
        const submission = await readSubmission(path, flags, context, { signal });
        await (flags.async ? submit : runToEnd)(submission, flags, context, { signal }).catch((error: unknown) => {
          throw explainServerFault(error, flags.server);
        });
      });
    });
}

interface WorkOptions {
  readonly signal: AbortSignal;
}

async function runToEnd(submission: Submission, flags: Flags, context: Context, options: WorkOptions): Promise<void> {
  const result = await connect(flags.server).executeSync(submission, options);
  printResult(result, context, flags);
  context.setExitCode(exitCodeOf(result));
}

async function submit(submission: Submission, flags: Flags, context: Context, options: WorkOptions): Promise<void> {
  const executionId = await connect(flags.server).executeAsync(submission, options);
  context.stdout.write(`${executionId}\n`);
}
