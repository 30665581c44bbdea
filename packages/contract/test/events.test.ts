import { expect, test } from 'vitest';
import { type ExecutionEvent, type FinishedEvent, foldEvents } from '../dist/index.js';

const accepted: ExecutionEvent = { type: 'accepted', at: '2026-01-01T00:00:00.000Z', warnings: ['careful'] };
const started: ExecutionEvent = { type: 'started', at: '2026-01-01T00:00:01.000Z' };

function output(stream: 'stdout' | 'stderr', ...bytes: number[]): ExecutionEvent {
  return { type: 'output', stream, bytes: Uint8Array.from(bytes) };
}

const finished: FinishedEvent = {
  type: 'finished',
  at: '2026-01-01T00:00:02.000Z',
  status: 'completed',
  exitCode: 3,
  durationMs: 1000,
  termination: { reason: 'exit', phase: 'run' },
  timedOut: false,
  oomKilled: false,
  stdoutTruncated: true,
  stderrTruncated: false,
  warnings: ['and this'],
};

test('an execution is pending until it has started, running until it has finished', () => {
  const status = (...events: ExecutionEvent[]) => foldEvents('exe_1', events).status;
  expect([status(accepted), status(accepted, started), status(accepted, started, finished)]).toEqual([
    'pending',
    'running',
    'completed',
  ]);
});

test('times are absent until they are known', () => {
  const pending = foldEvents('exe_1', [accepted]);
  expect(pending).not.toHaveProperty('started_at');
  expect(pending).not.toHaveProperty('finished_at');
  expect(foldEvents('exe_1', [accepted, started, finished])).toMatchObject({
    started_at: '2026-01-01T00:00:01.000Z',
    finished_at: '2026-01-01T00:00:02.000Z',
    duration_ms: 1000,
  });
});

test('a character that comes in two pieces is one, and what is no UTF-8 becomes U+FFFD', () => {
  const events = [
    accepted,
    started,
    output('stdout', 0xc3),
    output('stderr', 0x65),
    output('stdout', 0xa4, 0xff, 0x0a),
  ];
  expect(foldEvents('exe_1', events)).toMatchObject({ stdout: 'ä\ufffd\n', stderr: 'e' });
});

test('a byte order mark and NUL stay', () => {
  expect(foldEvents('exe_1', [output('stdout', 0xef, 0xbb, 0xbf, 0)]).stdout).toBe('\ufeff\0');
});

test('warnings of the beginning and of the end come together, flags and the end as they are', () => {
  expect(foldEvents('exe_1', [accepted, started, finished])).toMatchObject({
    exit_code: 3,
    warnings: ['careful', 'and this'],
    stdout_truncated: true,
    timed_out: false,
    termination: { reason: 'exit', phase: 'run' },
  });
});

test('a result that was asked for is null when there is none, and absent when it was not asked for', () => {
  expect(foldEvents('exe_1', [{ ...finished, result: null }])).toHaveProperty('result', null);
  expect(foldEvents('exe_1', [finished])).not.toHaveProperty('result');
});
