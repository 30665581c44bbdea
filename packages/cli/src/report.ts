import type { ExecutionResult } from '@python-executor/client';
import type { Context } from './context.js';
import type { Flags } from './flags.js';

type Streams = Pick<Context, 'stdout' | 'stderr'>;
type Loudness = Pick<Flags, 'quiet' | 'verbose'>;

/** Prints what the program has printed, each to its own stream, and then what is to be said of the execution. */
export function printResult(result: ExecutionResult, streams: Streams, loudness: Loudness): void {
  streams.stdout.write(result.stdout);
  if (loudness.quiet) return;
  const lines = [...faultsOf(result), ...(loudness.verbose ? detailsOf(result) : [])];
  const broken = result.stderr !== '' && !result.stderr.endsWith('\n') && lines.length > 0;
  streams.stderr.write(result.stderr + (broken ? '\n' : '') + lines.map((line) => `${line}\n`).join(''));
}

/** The program's own; never 0 for one that the service or somebody else has ended. */
export function exitCodeOf({ status, exit_code }: ExecutionResult): number {
  return status === 'completed' ? exit_code : exit_code || 1;
}

function faultsOf(result: ExecutionResult): readonly string[] {
  const warnings = [...(result.warnings ?? [])];
  if (result.stdout_truncated) warnings.push('stdout is cut: the program wrote more than the service keeps');
  if (result.stderr_truncated) warnings.push('stderr is cut: the program wrote more than the service keeps');
  if (result.oom_killed && result.status === 'completed') warnings.push('a process was killed for memory');
  const faults = warnings.map((warning) => `warning: ${warning}`);
  if (result.status === 'killed') faults.push('error: The execution was killed');
  if (result.status === 'failed') faults.push(`error: ${result.error ?? 'The execution failed'}`);
  return faults;
}

function detailsOf({ execution_id, status, exit_code, termination, duration_ms, usage }: ExecutionResult): string[] {
  const lines = [`execution: ${execution_id}`, `status: ${status}`, `exit code: ${exit_code}`];
  if (termination) lines.push(`ended by: ${termination.reason} in phase ${termination.phase}`);
  if (duration_ms !== undefined) lines.push(`duration: ${duration_ms} ms`);
  if (usage) {
    const peakMebibytes = (usage.memory_peak_bytes / 1024 / 1024).toFixed(1);
    lines.push(`usage: ${usage.wall_ms} ms wall, ${usage.cpu_ms} ms CPU, ${peakMebibytes} MiB memory at the most`);
  }
  return lines;
}
