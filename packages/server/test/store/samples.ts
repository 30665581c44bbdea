import { randomUUID } from 'node:crypto';
import type { ExecutionEvent, FinishedEvent, OutputEvent, StartedEvent } from '@python-executor/contract';
import { archiveInMemory } from '../../dist/archive/stored.js';
import type { Job, NewExecution } from '../../dist/jobs/ports.js';

export const at = '2026-01-02T03:04:05.678Z';

export const started: StartedEvent = { type: 'started', at };

export const files = ['main.py', 'data/ä.txt'];

export function newExecution(options: Partial<NewExecution> = {}): NewExecution & { readonly id: string } {
  const job = options.job ?? newJob();
  return {
    id: job.executionId,
    delivery: 'async',
    job,
    archive: archiveInMemory(Buffer.from('a canonical tar'), files),
    accepted: { type: 'accepted', at, warnings: ['Unknown field "x" was ignored'] },
    ...options,
  };
}

export function newJob(options: Partial<Job> = {}): Job {
  return {
    executionId: `exe_${randomUUID()}`,
    spec: {
      image: 'python:3.11-slim',
      memoryBytes: 2 ** 30,
      diskBytes: 2 ** 31,
      cpuShares: 1024,
      network: 'none',
      privilege: 'program',
    },
    entrypoint: 'main.py',
    args: ['--x', 'ü'],
    env: ['TOKEN=secret-of-the-client'],
    preCommands: [],
    stdin: 'line\u0000\ud800\n',
    evalLastExpr: false,
    timeoutMs: 300_000,
    ...options,
  };
}

export function output(content: string | Uint8Array, stream: OutputEvent['stream'] = 'stdout'): OutputEvent {
  return { type: 'output', stream, bytes: typeof content === 'string' ? Buffer.from(content) : content };
}

export function finished(options: Partial<FinishedEvent> = {}): FinishedEvent {
  return {
    type: 'finished',
    at: '2026-01-02T03:04:06.000Z',
    status: 'completed',
    exitCode: 3,
    durationMs: 322,
    termination: { reason: 'exit', phase: 'run' },
    timedOut: false,
    oomKilled: false,
    stdoutTruncated: false,
    stderrTruncated: true,
    usage: { wall_ms: 300, cpu_ms: 20, memory_peak_bytes: 9_000_000 },
    result: null,
    warnings: ['stderr was cut'],
    ...options,
  };
}

/** Bytes as text, so that a Buffer and a Uint8Array of the same bytes are the same. */
export function readable(events: readonly ExecutionEvent[] | undefined): unknown {
  return events?.map((event) =>
    event.type === 'output' ? { ...event, bytes: Buffer.from(event.bytes).toString('latin1') } : event,
  );
}
