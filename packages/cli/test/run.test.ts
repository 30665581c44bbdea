import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { type Answerer, type Recorder, startRecorder } from '../../client/test/recorder.js';
import { bin, type CommandOptions, outcomeOf, run, start } from './command.js';

const executionId = 'exe_00000000-0000-4000-8000-000000000000';
const completed = {
  execution_id: executionId,
  status: 'completed',
  stdout: 'out\n',
  stderr: 'err\n',
  exit_code: 0,
  duration_ms: 12,
  termination: { reason: 'exit', phase: 'run' },
  usage: { wall_ms: 11, cpu_ms: 10, memory_peak_bytes: 9 * 1024 * 1024 },
};

let recorder: Recorder | undefined;
afterEach(async () => {
  await recorder?.close();
  recorder = undefined;
});

async function runAgainst(answerer: Answerer, args: readonly string[] = [], options: CommandOptions = {}) {
  recorder = await startRecorder(answerer);
  return run(['run', ...args], { stdin: 'print()', server: recorder.url, ...options });
}

describe('a program that ends', () => {
  it('has its output printed to the two streams, byte for byte', async () => {
    const stdout = 'no newline, \0, \u001b[31m, \ufffd, 日本語';
    const outcome = await runAgainst(() => ({ body: { ...completed, stdout, stderr: 'partial' } }));
    expect(outcome).toEqual({ exitCode: 0, stdout, stderr: 'partial' });
  });

  it.each([1, 3, 137, 255])('lends its exit code %i', async (exitCode) => {
    expect(await runAgainst(() => ({ body: { ...completed, exit_code: exitCode } }))).toMatchObject({ exitCode });
  });

  it('has megabytes of output printed whole', async () => {
    const stdout = 'x'.repeat(5_000_000);
    const outcome = await runAgainst(() => ({ body: { ...completed, stdout } }));
    expect(outcome.stdout.length).toBe(stdout.length);
  });

  it('has the warnings printed on stderr, below its own', async () => {
    const body = { ...completed, stderr: 'err', warnings: ['one', 'two'], stdout_truncated: true };
    const outcome = await runAgainst(() => ({ body }));
    expect(outcome.stderr).toBe(
      'err\nwarning: one\nwarning: two\nwarning: stdout is cut: the program wrote more than the service keeps\n',
    );
  });

  it('has nothing but its stdout printed with -q', async () => {
    const outcome = await runAgainst(() => ({ body: { ...completed, exit_code: 3, warnings: ['one'] } }), ['-q']);
    expect(outcome).toEqual({ exitCode: 3, stdout: 'out\n', stderr: '' });
  });

  it('is described on stderr with -v', async () => {
    const outcome = await runAgainst(() => ({ body: { ...completed, exit_code: 3, warnings: ['one'] } }), ['-v']);
    expect(outcome.stdout).toBe('out\n');
    expect(outcome.stderr.split('\n')).toEqual([
      'err',
      'warning: one',
      `execution: ${executionId}`,
      'status: completed',
      'exit code: 3',
      'ended by: exit in phase run',
      'duration: 12 ms',
      'usage: 11 ms wall, 10 ms CPU, 9.0 MiB memory at the most',
      '',
    ]);
  });
});

describe('an execution that fails', () => {
  const failed = { ...completed, status: 'failed', error: 'Execution timed out after 5 s', exit_code: 137 };

  it('has the error printed on stderr and exits with its exit code', async () => {
    const outcome = await runAgainst(() => ({ body: failed }));
    expect(outcome).toEqual({ exitCode: 137, stdout: 'out\n', stderr: 'err\nerror: Execution timed out after 5 s\n' });
  });

  it('exits with 1 when there is no exit code', async () => {
    expect(await runAgainst(() => ({ body: { ...failed, exit_code: 0 } }))).toMatchObject({ exitCode: 1 });
  });

  it('says nothing with -q', async () => {
    expect(await runAgainst(() => ({ body: failed }), ['-q'])).toMatchObject({ exitCode: 137, stderr: '' });
  });

  it('says so when somebody has killed it', async () => {
    const outcome = await runAgainst(() => ({ body: { ...failed, status: 'killed', error: undefined } }));
    expect(outcome).toMatchObject({ exitCode: 137, stderr: 'err\nerror: The execution was killed\n' });
  });
});

describe('--async', () => {
  it('submits and prints the id', async () => {
    const outcome = await runAgainst(() => ({ status: 202, body: { execution_id: executionId } }), ['--async']);
    expect(outcome).toEqual({ exitCode: 0, stdout: `${executionId}\n`, stderr: '' });
    expect(recorder?.requests).toMatchObject([{ path: '/api/v1/exec/async', entries: [{ content: 'print()' }] }]);
  });
});

describe('a service that', () => {
  it('is not there is named, with the way out', async () => {
    const { url, close } = await startRecorder(() => ({ body: completed }));
    await close();
    const outcome = await run(['run', '--server', url], { stdin: 'print()' });
    expect(outcome).toMatchObject({ exitCode: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^error: Cannot reach "http:\/\/127\.0\.0\.1:\d+": connect ECONNREFUSED/);
    expect(outcome.stderr).toContain('Is the server running? Start one with `python-executor serve`');
  });

  it('refuses is quoted', async () => {
    const body = { error: 'The queue is full', code: 'queue_full' };
    const outcome = await runAgainst(() => ({ status: 503, headers: { 'retry-after': '2' }, body }));
    expect(outcome).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `error: ${recorder?.url} answered: The queue is full (HTTP 503, queue_full); try again in 2 s\n`,
    });
  });

  it('is none of ours is seen through', async () => {
    const outcome = await runAgainst(() => ({ body: 'Welcome to nginx!' }));
    expect(outcome).toMatchObject({ exitCode: 1, stdout: '' });
    expect(outcome.stderr).toContain('is it a python-executor service?');
  });

  it('is given by --server wins over the environment, and may have a path', async () => {
    recorder = await startRecorder(() => ({ body: completed }));
    const options = { stdin: 'print()', server: 'http://127.0.0.1:1' };
    const outcome = await run(['run', '--server', `${recorder.url}/executor/`], options);
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(recorder.requests).toMatchObject([{ path: '/executor/api/v1/exec/sync' }]);
  });
});

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s gives the request up, so that the service kills the program, and exits with %i',
    async (name, code) => {
      recorder = await startRecorder(() => new Promise<never>(() => {}));
      const child = start(['run'], { server: recorder.url });
      const outcome = outcomeOf(child);
      child.stdin.end('while True: pass');
      await expect.poll(() => recorder?.requests.length, { timeout: 5000 }).toBe(1);
      child.kill(name);
      await recorder.requests[0]?.departed;
      expect(await outcome).toEqual({ exitCode: code, stdout: '', stderr: '' });
    },
  );

  it('ends the wait for a pipe that does not end, of which there was a warning', async () => {
    const child = start(['run', bin], { server: 'http://127.0.0.1:1' });
    const outcome = outcomeOf(child);
    await new Promise((resolve) => child.stderr.once('data', resolve));
    child.kill('SIGINT');
    expect(await outcome).toEqual({
      exitCode: 130,
      stdout: '',
      stderr: 'warning: still reading stdin to its end; "< /dev/null" gives the program none\n',
    });
  });
});

describe('whoever stops reading', () => {
  it('leaves the exit code as it is', async () => {
    recorder = await startRecorder(() => ({ body: { ...completed, stdout: 'x\n'.repeat(500_000), exit_code: 3 } }));
    const child = start(['run'], { server: recorder.url });
    child.stdin.end('print()');
    child.stdout.once('data', () => child.stdout.destroy());
    const [exitCode] = await new Promise<unknown[]>((resolve) => child.once('exit', (...args) => resolve(args)));
    expect(exitCode).toBe(3);
  });
});

describe('a terminal', () => {
  const python = 'import os,pty,sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

  it('gets the help when there is no program', () => {
    const outcome = spawnSync('python3', ['-c', python, process.execPath, bin, 'run'], { encoding: 'utf8' });
    expect(outcome.status).toBe(2);
    expect(outcome.stdout).toContain('error: No program: name a file, a directory or a .tar, or pipe one in');
    expect(outcome.stdout).toContain('Usage: python-executor run');
  });
});
