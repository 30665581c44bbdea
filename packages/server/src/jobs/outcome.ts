import type { FinishedEvent, Termination, Usage } from '@python-executor/contract';
import { EndedByService } from './causes.js';
import { type AgentExit, type Job, type Measured, SandboxError } from './ports.js';

const killedExitCode = 137;
/** As `docker run` has it when the container could not be run. */
const notRunExitCode = 125;
const killSignal = 9;

/** Everything but the time of the end. */
export type Outcome = Omit<FinishedEvent, 'type' | 'at' | 'durationMs'>;

/** How far a job had come, and what was measured, when it was ended or broke. */
export interface Progress {
  readonly phase: Termination['phase'];
  readonly wallMs: number;
  readonly measured: Measured | undefined;
}

const nothing = {
  timedOut: false,
  oomKilled: false,
  stdoutTruncated: false,
  stderrTruncated: false,
  warnings: [],
} as const;

/** The agent said how the program ended. */
export function outcomeOfExit(exit: AgentExit, job: Job): Outcome {
  const common = {
    ...nothing,
    oomKilled: exit.oomKilled,
    stdoutTruncated: exit.stdoutTruncated,
    stderrTruncated: exit.stderrTruncated,
    usage: { wall_ms: exit.wallMs, cpu_ms: exit.cpuMs, memory_peak_bytes: exit.memoryPeakBytes },
    ...(exit.errorType !== undefined && { errorType: exit.errorType }),
    ...(exit.errorLine !== undefined && { errorLine: exit.errorLine }),
    ...(job.evalLastExpr && { result: exit.result ?? null }),
  };
  if (exit.diskFull) {
    const error = `Cannot unpack the archive: /work of ${mebibytes(job.spec.diskBytes)} MB is full; ask for more disk_mb`;
    return { ...common, ...failed('disk_full', exit.phase, notRunExitCode), error };
  }
  if (exit.signal === killSignal && exit.oomKilled) return { ...common, ...outOfMemory(job, exit.phase) };
  if (exit.signal !== undefined) {
    const termination: Termination = { reason: 'signal', phase: exit.phase, signal: exit.signal };
    return { ...common, status: 'completed', exitCode: 128 + exit.signal, termination };
  }
  const termination: Termination = { reason: 'exit', phase: exit.phase };
  return { ...common, status: 'completed', exitCode: exit.exitCode ?? notRunExitCode, termination };
}

/** The service ended the job, or could not run it to its end. */
export function outcomeOfError(error: unknown, job: Job, progress: Progress): Outcome {
  const usage = usageOf(progress);
  const common = { ...nothing, oomKilled: progress.measured?.oomKilled ?? false, ...(usage && { usage }) };
  if (error instanceof EndedByService) return { ...common, ...outcomeOfCause(error, job, progress.phase) };
  if (progress.measured?.oomKilled) return { ...common, ...outOfMemory(job, progress.phase) };
  if (error instanceof SandboxError && error.reason === 'image_unavailable') {
    return { ...common, ...failed('image_unavailable', 'setup', notRunExitCode), error: error.message };
  }
  if (error instanceof SandboxError && error.reason === 'lost') {
    return { ...common, ...failed('worker_lost', progress.phase, killedExitCode), error: error.message };
  }
  const reason = error instanceof SandboxError ? error.message : 'The service failed; its log says more';
  return { ...common, ...failed('internal', progress.phase, notRunExitCode), error: reason };
}

/** The server that ran the job is gone. */
export function outcomeOfLostWorker(phase: Termination['phase']): Outcome {
  const error = 'The server that ran this execution was stopped before it ended';
  return { ...nothing, ...failed('worker_lost', phase, killedExitCode), error };
}

function outcomeOfCause({ endCause }: EndedByService, job: Job, phase: Termination['phase']): Partial<Outcome> & Ended {
  switch (endCause) {
    case 'timeout': {
      const error = `Timed out after ${job.timeoutMs / 1000} s`;
      return { ...failed('timeout', phase, killedExitCode), timedOut: true, error };
    }
    case 'cancelled':
      return { status: 'killed', exitCode: killedExitCode, termination: { reason: 'killed', phase } };
    case 'shutdown':
      return outcomeOfLostWorker(phase);
  }
}

type Ended = Pick<Outcome, 'status' | 'exitCode' | 'termination'>;

function failed(reason: Termination['reason'], phase: Termination['phase'], exitCode: number): Ended {
  return { status: 'failed', exitCode, termination: { reason, phase } };
}

function outOfMemory(job: Job, phase: Termination['phase']): Ended & { oomKilled: true; error: string } {
  const error = `Killed for memory: the limit is ${mebibytes(job.spec.memoryBytes)} MB, files in /work and /tmp included`;
  return { ...failed('oom', phase, killedExitCode), oomKilled: true, error };
}

function usageOf({ measured, wallMs }: Progress): Usage | undefined {
  return measured && { wall_ms: wallMs, cpu_ms: measured.cpuMs, memory_peak_bytes: measured.memoryPeakBytes };
}

function mebibytes(bytes: number): number {
  return bytes / (1024 * 1024);
}
