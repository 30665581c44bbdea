import { processContext } from './context.js';
import { failureOf } from './failure.js';
import { buildProgram } from './program.js';

for (const stream of [process.stdout, process.stderr]) {
  // Whoever reads may have heard enough, like `head`; the exit code is the program's all the same.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const context = processContext();
try {
  await buildProgram(context).parseAsync(process.argv);
} catch (error) {
  const { exitCode, message } = failureOf(error);
  if (message !== undefined) context.stderr.write(`error: ${message}\n`);
  context.setExitCode(exitCode);
}
