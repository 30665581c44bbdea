import { tmpdir } from 'node:os';
import { type Logger, pino } from 'pino';
import { archiveOfFiles } from '../archive/compose.js';
import type { Config } from '../config.js';
import type { AgentExit, Job, SandboxMaking, SandboxSpec } from '../jobs/ports.js';
import { defaultSpec } from '../jobs/resolve.js';
import type { Backend } from '../sandbox/backend.js';
import { createDirectSandboxes } from '../sandbox/direct.js';
import { raceAbort } from '../sandbox/docker/engine.js';

export interface Trial {
  /** How long the sandbox took to be made, ms, with all that the first one takes. */
  readonly makingMs: number;
  /** How long the program took in it, as who asked for it saw it, ms. */
  readonly runningMs: number;
  /** How the backend makes sandboxes, as it says after the run. */
  readonly making: SandboxMaking;
  /** What the backend warned of on the way, a sentence each. */
  readonly warnings: readonly string[];
}

export type OpenBackend = (logger: Logger) => Promise<Backend>;

const program = 'print(1+1)\n';
const expected = '2\n';
const trialTimeoutMs = 60_000;
/** How long an abort waits until what it interrupted is cleaned up. */
const abortGraceMs = 15_000;

/**
 * Runs a program as the server would, in a sandbox of a backend of its own.
 *
 * @throws Error that says why it did not run, or the abort reason; nothing is left behind in either case
 */
export async function runTrial(
  open: OpenBackend,
  config: Config,
  { signal }: { readonly signal: AbortSignal },
): Promise<Trial> {
  const warnings: string[] = [];
  const deadline = AbortSignal.timeout(trialTimeoutMs);
  const either = AbortSignal.any([signal, deadline]);
  const backend = await open(loggerInto(warnings));
  const running = runIn(backend, config, either);
  let isClean = false;
  try {
    const times = await raceAbort(running, [either]);
    const making = await raceAbort(backend.describe(), [either]);
    isClean = warnings.length === 0;
    return { ...times, making, warnings };
  } catch (error) {
    await raceAbort(running, [AbortSignal.timeout(abortGraceMs)]).catch(() => {});
    signal.throwIfAborted();
    throw deadline.aborted ? new Error(`it did not end within ${trialTimeoutMs / 1000} s`, { cause: error }) : error;
  } finally {
    // What could not be removed on the way is tried once more; not else, because what others left is not our business.
    if (!isClean) await backend.reap().catch(() => {});
    await backend.close();
  }
}

/** E.g. `ran print(1+1) in 6 ms, in a sandbox made in 140 ms`. */
export function describeTrial({ makingMs, runningMs }: Trial): string {
  return `ran ${program.trim()} in ${runningMs} ms, in a sandbox made in ${makingMs} ms`;
}

async function runIn(
  backend: Backend,
  config: Config,
  signal: AbortSignal,
): Promise<Omit<Trial, 'making' | 'warnings'>> {
  const sandboxes = createDirectSandboxes(backend, { readyTimeoutMs: config.jobs.readyTimeoutMs });
  const spec = specOf(config);
  await sandboxes.probe({ signal });
  const beganMs = performance.now();
  const sandbox = await sandboxes.acquire(spec, { signal });
  try {
    const madeMs = performance.now();
    const archive = await archiveOfFiles([{ name: 'main.py', content: program }], archiveOptions(config));
    let output = '';
    const onOutput = (_stream: 'stdout' | 'stderr', bytes: Uint8Array): undefined => {
      output += Buffer.from(bytes).toString();
    };
    const outputMax = { stdoutBytesMax: 4096, stderrBytesMax: 4096 };
    const exit = await sandbox.run({ job: jobOf(spec), archive, ...outputMax }, { signal, onOutput });
    const endedMs = performance.now();
    if (exit.exitCode !== 0 || output !== expected)
      throw new Error(`the program ended otherwise: ${tell(exit, output)}`);
    return { makingMs: Math.round(madeMs - beganMs), runningMs: Math.round(endedMs - madeMs) };
  } finally {
    await sandbox.destroy();
  }
}

/** A network is not needed, and would take a second container. */
function specOf({ limits, images }: Config): SandboxSpec {
  return { ...defaultSpec({ limits, defaultImage: images.default }), network: 'none' };
}

function jobOf(spec: SandboxSpec): Job {
  return {
    executionId: 'doctor',
    spec,
    entrypoint: 'main.py',
    args: [],
    env: [],
    preCommands: [],
    stdin: '',
    evalLastExpr: false,
    timeoutMs: trialTimeoutMs,
  };
}

/** A file of a line stays in memory. */
function archiveOptions({ archive }: Config) {
  return { ...archive, memoryBytesMax: 65_536, bytesMax: 65_536, spoolDir: tmpdir() };
}

function tell({ exitCode, signal }: AgentExit, output: string): string {
  const how = exitCode === undefined ? `signal ${signal}` : `exit code ${exitCode}`;
  return `${how}, output ${JSON.stringify(output.slice(0, 500))}`;
}

/** Backends warn through the log of a server; here it is part of the findings. */
function loggerInto(warnings: string[]): Logger {
  const write = (line: string): void => {
    const { msg, err } = JSON.parse(line) as { readonly msg: string; readonly err?: { readonly message: string } };
    warnings.push(err === undefined ? msg : `${msg}: ${err.message}`);
  };
  return pino({ level: 'warn' }, { write });
}
