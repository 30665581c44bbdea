import { Command } from 'commander';
import { addDoctorCommand } from './commands/doctor.js';
import { addImagesCommand } from './commands/images.js';
import { addRunCommand } from './commands/run.js';
import { addServeCommand } from './commands/serve.js';
import { addVersionCommand } from './commands/version.js';
import { type Context, processContext } from './context.js';
import { addGlobalFlags } from './flags.js';

/** The whole command line: flags, commands and help. Parsing it runs the command and throws what went wrong. */
export function buildProgram(context: Context = processContext()): Command {
  const program = new Command('python-executor')
    .description('Run Python that somebody else wrote, in an isolated container made for that one run')
    .usage('[global options] COMMAND')
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .exitOverride();
  addGlobalFlags(program);
  addRunCommand(program, context);
  addServeCommand(program, context);
  addVersionCommand(program, context);
  addDoctorCommand(program, context);
  addImagesCommand(program, context);
  return program;
}
