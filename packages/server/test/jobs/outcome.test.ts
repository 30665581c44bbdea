import { describe, expect, test } from 'vitest';
import { EndedByService } from '../../dist/jobs/causes.js';
import { outcomeOfError, outcomeOfExit, outcomeOfLostWorker, type Progress } from '../../dist/jobs/outcome.js';
import { type AgentExit, SandboxError } from '../../dist/jobs/ports.js';
import { jobOf } from './request.js';

const job = jobOf({ config: { timeout_seconds: 7, memory_mb: 64, disk_mb: 32 } });
const measured = { cpuMs: 5, memoryPeakBytes: 6, oomKilled: false };
const usage = { wall_ms: 9, cpu_ms: 5, memory_peak_bytes: 6 };

function exit(changes: Partial<AgentExit> = {}): AgentExit {
  return {
    ...measured,
    phase: 'run',
    exitCode: 0,
    signal: undefined,
    wallMs: 9,
    stdoutTruncated: false,
    stderrTruncated: false,
    errorType: undefined,
    errorLine: undefined,
    result: undefined,
    diskFull: false,
    ...changes,
  };
}

function progress(changes: Partial<Progress> = {}): Progress {
  return { phase: 'run', wallMs: 9, measured, ...changes };
}

describe('a program that came to its end', () => {
  test.each([0, 1, 44, 255])('has completed, with exit code %i', (exitCode) => {
    expect(outcomeOfExit(exit({ exitCode }), job)).toEqual({
      status: 'completed',
      exitCode,
      termination: { reason: 'exit', phase: 'run' },
      timedOut: false,
      oomKilled: false,
      stdoutTruncated: false,
      stderrTruncated: false,
      usage,
      warnings: [],
    });
  });

  test.each([
    [11, 139],
    [15, 143],
    [9, 137],
    [64, 192],
  ])('by signal %i has completed too, with exit code %i', (signal, exitCode) => {
    const outcome = outcomeOfExit(exit({ exitCode: undefined, signal }), job);
    expect(outcome).toMatchObject({
      status: 'completed',
      exitCode,
      termination: { reason: 'signal', phase: 'run', signal },
    });
    expect(outcome.error).toBeUndefined();
  });

  test('in a pre_command says so', () => {
    expect(outcomeOfExit(exit({ phase: 'setup', exitCode: 3 }), job)).toMatchObject({
      status: 'completed',
      exitCode: 3,
      termination: { reason: 'exit', phase: 'setup' },
    });
  });

  test('brings its exception and its flags', () => {
    const flags = { errorType: 'ValueError', errorLine: 4, stdoutTruncated: true, stderrTruncated: true };
    expect(outcomeOfExit(exit({ ...flags, exitCode: 1 }), job)).toMatchObject(flags);
  });

  test('has completed when only a child was killed for memory, and is flagged', () => {
    expect(outcomeOfExit(exit({ oomKilled: true }), job)).toMatchObject({
      status: 'completed',
      exitCode: 0,
      oomKilled: true,
      termination: { reason: 'exit' },
    });
    expect(outcomeOfExit(exit({ oomKilled: true, exitCode: undefined, signal: 6 }), job)).toMatchObject({
      status: 'completed',
      exitCode: 134,
      oomKilled: true,
    });
  });

  test('has a result when one was asked for, null included', () => {
    const evaluation = jobOf({}, { mode: 'eval' });
    expect(outcomeOfExit(exit({ result: "'x'" }), evaluation).result).toBe("'x'");
    expect(outcomeOfExit(exit(), evaluation).result).toBeNull();
    expect(outcomeOfExit(exit({ result: "'x'" }), job)).not.toHaveProperty('result');
  });
});

describe('a limit that ended the program', () => {
  test('is memory when it was killed for it', () => {
    const outcome = outcomeOfExit(exit({ exitCode: undefined, signal: 9, oomKilled: true }), job);
    expect(outcome).toMatchObject({
      status: 'failed',
      exitCode: 137,
      oomKilled: true,
      termination: { reason: 'oom', phase: 'run' },
      usage,
    });
    expect(outcome.error).toContain('64 MB');
  });

  test('is memory when the whole sandbox was lost to it', () => {
    const lost = new SandboxError('lost', 'The sandbox ended unexpectedly');
    const outcome = outcomeOfError(lost, job, progress({ measured: { ...measured, oomKilled: true } }));
    expect(outcome).toMatchObject({
      status: 'failed',
      exitCode: 137,
      oomKilled: true,
      termination: { reason: 'oom', phase: 'run' },
    });
  });

  test('is the disk when the files did not fit', () => {
    const outcome = outcomeOfExit(exit({ diskFull: true, phase: 'setup' }), job);
    expect(outcome).toMatchObject({
      status: 'failed',
      exitCode: 125,
      termination: { reason: 'disk_full', phase: 'setup' },
    });
    expect(outcome.error).toContain('32 MB');
  });

  test('is time, with what was measured so far', () => {
    expect(outcomeOfError(new EndedByService('timeout'), job, progress())).toMatchObject({
      status: 'failed',
      exitCode: 137,
      timedOut: true,
      oomKilled: false,
      error: 'Timed out after 7 s',
      termination: { reason: 'timeout', phase: 'run' },
      usage,
    });
  });

  test('is time even when memory had cost a child its life before', () => {
    const outcome = outcomeOfError(
      new EndedByService('timeout'),
      job,
      progress({ measured: { ...measured, oomKilled: true } }),
    );
    expect(outcome).toMatchObject({ timedOut: true, oomKilled: true, termination: { reason: 'timeout' } });
  });
});

describe('an execution that was ended', () => {
  test.each(['queue', 'setup', 'run'] as const)('on request in phase %s is killed, and that is no error', (phase) => {
    const outcome = outcomeOfError(new EndedByService('cancelled'), job, progress({ phase, measured: undefined }));
    expect(outcome).toMatchObject({ status: 'killed', exitCode: 137, termination: { reason: 'killed', phase } });
    expect(outcome).not.toHaveProperty('error');
    expect(outcome).not.toHaveProperty('usage');
  });

  test('by the end of the server has lost its worker', () => {
    const expected = { status: 'failed', exitCode: 137, termination: { reason: 'worker_lost', phase: 'run' } };
    expect(outcomeOfError(new EndedByService('shutdown'), job, progress())).toMatchObject(expected);
    expect(outcomeOfLostWorker('run')).toMatchObject(expected);
  });
});

describe('an execution that could not be run', () => {
  test('for want of its image says why', () => {
    const error = new SandboxError('image_unavailable', 'Cannot start execution: image "x" is not available');
    expect(outcomeOfError(error, job, progress({ phase: 'queue', measured: undefined }))).toMatchObject({
      status: 'failed',
      exitCode: 125,
      error: error.message,
      termination: { reason: 'image_unavailable', phase: 'setup' },
    });
  });

  test.each(['protocol', 'internal'] as const)('for a sandbox that broke (%s) says what is known', (reason) => {
    expect(outcomeOfError(new SandboxError(reason, 'It broke'), job, progress())).toMatchObject({
      status: 'failed',
      exitCode: 125,
      error: 'It broke',
      termination: { reason: 'internal', phase: 'run' },
    });
  });

  test('for a sandbox that was lost says that its worker was', () => {
    expect(outcomeOfError(new SandboxError('lost', 'It is gone'), job, progress())).toMatchObject({
      status: 'failed',
      exitCode: 137,
      error: 'It is gone',
      termination: { reason: 'worker_lost', phase: 'run' },
    });
  });

  test('for a fault of ours tells nothing of what it was', () => {
    const outcome = outcomeOfError(new TypeError('secret path /srv'), job, progress());
    expect(outcome).toMatchObject({ status: 'failed', termination: { reason: 'internal' } });
    expect(outcome.error).not.toContain('secret');
  });
});
