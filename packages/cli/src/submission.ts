import { readFile } from 'node:fs/promises';
import type { ExecutionConfig, Metadata } from '@python-executor/client';
import type { Context } from './context.js';
import { UsageError } from './failure.js';
import type { Flags } from './flags.js';
import { type Input, packProgram, readInput } from './input.js';
import { decodeStdin, readStdin } from './stdin.js';
import type { SubmissionFlags } from './submission-flags.js';
import { readVariable } from './variable.js';

/** A program, and how to run it. */
export interface Submission {
  readonly tar: Uint8Array;
  readonly metadata: Metadata;
}

/** Reads everything that is to be sent. @throws UsageError when something cannot be read or makes no sense */
export async function readSubmission(
  path: string | undefined,
  flags: Flags & SubmissionFlags,
  context: Context,
  options: { readonly signal: AbortSignal },
): Promise<Submission> {
  const variables = (flags.env ?? []).map((text) => readVariable(text, context.environment));
  const requirements = flags.requirements === undefined ? undefined : await readRequirements(flags.requirements);
  const { input, stdin } = await readProgram(path, flags, context, options);
  const entrypoint = flags.entrypoint ?? input.entrypoint;
  const config = configOf(flags);
  const metadata = {
    ...(entrypoint !== undefined && { entrypoint }),
    ...(flags.image !== undefined && { docker_image: flags.image }),
    ...(requirements !== undefined && { requirements_txt: requirements }),
    ...(stdin !== '' && { stdin }),
    ...(variables.length > 0 && { env_vars: variables }),
    ...(context.programArguments.length > 0 && { script_args: [...context.programArguments] }),
    ...(Object.keys(config).length > 0 && { config }),
  };
  return { tar: input.tar, metadata };
}

/** Parts what comes through a pipe: it is the program when there is no other, else the program's stdin. */
async function readProgram(
  path: string | undefined,
  flags: Flags & SubmissionFlags,
  context: Context,
  options: { readonly signal: AbortSignal },
): Promise<{ readonly input: Input; readonly stdin: string }> {
  const warn = (text: string) => {
    if (!flags.quiet) context.stderr.write(`warning: ${text}\n`);
  };
  const readPipe = () =>
    readStdin(context.stdin, {
      ...options,
      onSlow: () => warn('still reading stdin to its end; "< /dev/null" gives the program none'),
    });
  if (path !== undefined && flags.file !== undefined) warn(`"${path}" is not sent, because --file is given`);
  const input = await readInput(path, flags.file);
  if (input === undefined) return { input: await packProgram(await readPipe()), stdin: '' };
  return { input, stdin: context.stdin.isTTY ? '' : decodeStdin(await readPipe()) };
}

/** Only what was asked for: the rest is for the service to decide. */
function configOf({ timeout, memory, disk, cpu, network }: Flags): ExecutionConfig {
  return {
    ...(timeout && { timeout_seconds: timeout }),
    ...(memory && { memory_mb: memory }),
    ...(disk && { disk_mb: disk }),
    ...(cpu && { cpu_shares: cpu }),
    ...(network && { network_disabled: false }),
  };
}

async function readRequirements(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`Cannot read requirements file "${path}": ${(cause as Error).message}`, { cause });
  }
}
