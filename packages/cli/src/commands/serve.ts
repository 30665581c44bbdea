import type { Command } from 'commander';
import { readConfiguration } from '../configuration.js';
import type { Context } from '../context.js';
import { ServerError } from '../failure.js';
import { parseWholeNumber } from '../flags.js';

interface ServeFlags {
  readonly host?: string;
  readonly port?: number;
}

const variables = `
Configuration, from the environment (all of it: docs/configuration.md):
  PYEXEC_HOST, PYEXEC_PORT    where to listen (0.0.0.0, 8080)
  PYEXEC_DATA_DIR             directory of the database, or :memory: to keep nothing
                              (~/.local/share/python-executor)
  PYEXEC_DOCKER_SOCKET        socket of the container engine (/var/run/docker.sock)
  PYEXEC_DEFAULT_IMAGE        image of requests that name none (python:3.11-slim)
  PYEXEC_ALLOWED_IMAGES       patterns of the images that requests may name (all)
  PYEXEC_DEFAULT_TIMEOUT      seconds that a program may take unless it asks for more (300)
  PYEXEC_DEFAULT_NETWORK      enabled or disabled, for requests that do not say (disabled)
  PYEXEC_MAX_CONCURRENT       executions at a time (16)
  PYEXEC_LOG_LEVEL            debug, info, warn or error (info)

SIGTERM and Ctrl-C stop it once what runs has ended or PYEXEC_SHUTDOWN_GRACE (30 s) is
over; a second one stops it at once.`;

export function addServeCommand(program: Command, context: Context): void {
  program
    .command('serve')
    .description('run the service in the foreground')
    .option('--host <address>', 'address to listen on, instead of PYEXEC_HOST')
    .option('--port <number>', 'port to listen on, instead of PYEXEC_PORT; 0 takes a free one', parseWholeNumber)
    .addHelpText('after', variables)
    .action((flags: ServeFlags) => serve(flags, context));
}

async function serve(flags: ServeFlags, context: Context): Promise<void> {
  // Loaded here, so that the other commands need not wait for the whole service to load.
  const { startServer } = await import('@python-executor/server');
  const config = await readConfiguration(environmentOf(flags, context));
  const stopped = firstStopSignal();
  const server = await startServer(config).catch((error: unknown) => {
    throw new ServerError(`Cannot start the service: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
  context.stderr.write(`Listening on ${server.url}\n`);
  await stopped;
  await server.close();
  context.setExitCode(0);
}

function environmentOf(flags: ServeFlags, context: Context): Context['environment'] {
  return {
    ...context.environment,
    ...(flags.host !== undefined && { PYEXEC_HOST: flags.host }),
    ...(flags.port !== undefined && { PYEXEC_PORT: String(flags.port) }),
  };
}

/** npx passes Ctrl-C on to us, who have had it from the terminal already. */
const sameSignalMs = 500;

/** Resolves at the first signal. Whoever sends a second one does not want to wait any longer. */
function firstStopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        firstAtMs ??= performance.now();
        if (performance.now() - firstAtMs > sameSignalMs) process.exit(1);
        resolve();
      });
    }
  });
}
