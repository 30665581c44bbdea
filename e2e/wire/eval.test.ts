import { describe, expect, test } from 'vitest';
import { evaluate, refusalOf, runEval } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile();

async function refusal(request: unknown): Promise<object> {
  const { status, code, error } = refusalOf(await evaluate(service, request));
  return { status, code, error };
}

describe('POST /eval', () => {
  test('runs code', async () => {
    const result = await runEval(service, { code: 'import sys; print(sys.stdin.read())', stdin: 'in' });
    expect(result).toMatchObject({ status: 'completed', stdout: 'in\n', exit_code: 0 });
    expect(result).not.toHaveProperty('result', expect.any(String));
  });

  test.each([
    ['1 + 1', '2'],
    ['x = 5\nx', '5'],
    ['"a\\nb"', "'a\\nb'"],
    ['[1,\n 2]', '[1, 2]'],
    ['"""doc"""\nfrom __future__ import annotations\n7', '7'],
    ['class A:\n  def __repr__(self): return "mine"\nA()', 'mine'],
    ['print("x")', null],
    ['None', null],
    ['x = 1', null],
    ['', null],
    ['# only a comment', null],
    ['def f(): pass', null],
    ['if True: 5', null],
  ])('with eval_last_expr gives the value of the last expression of %j', async (code, result) => {
    const answer = code === '' ? { code: ' ' } : { code };
    expect(await runEval(service, { ...answer, eval_last_expr: true })).toMatchObject({
      status: 'completed',
      exit_code: 0,
      result,
    });
  });

  test('never takes output for a result', async () => {
    const code =
      'import sys\nprint("result: 42", flush=True)\nsys.stdout.buffer.write(b"V\\0\\0\\0\\x0242")\nsys.exit(0)';
    const result = await runEval(service, { code, eval_last_expr: true });
    expect(result).toMatchObject({ result: null, stdout: 'result: 42\nV\0\0\0\u000242' });
  });

  test('has no result when the program fails before, or while the value is shown', async () => {
    expect(await runEval(service, { code: '1 / 0', eval_last_expr: true })).toMatchObject({
      exit_code: 1,
      result: null,
      error_type: 'ZeroDivisionError',
      error_line: 1,
    });
    const code = 'class A:\n  def __repr__(self): raise ValueError("no")\nA()';
    expect(await runEval(service, { code, eval_last_expr: true })).toMatchObject({
      exit_code: 1,
      result: null,
      error_type: 'ValueError',
    });
  });

  test('prefers files, and starts main.py or else the first', async () => {
    const main = { name: 'main.py', content: 'import b; print("main", b.x)' };
    const other = { name: 'b.py', content: 'x = 1; print("b")' };
    expect((await runEval(service, { code: 'print("code")', files: [other, main] })).stdout).toBe('b\nmain 1\n');
    expect((await runEval(service, { files: [other] })).stdout).toBe('b\n');
    expect((await runEval(service, { files: [other, main], entrypoint: 'b.py' })).stdout).toBe('b\n');
    expect((await runEval(service, { code: 'print("code")', files: [] })).stdout).toBe('code\n');
  });

  test('runs the Python version that is asked for', async () => {
    const { stdout } = await runEval(service, {
      code: 'import sys; print(sys.version_info[:2])',
      python_version: '3.11',
    });
    expect(stdout).toBe('(3, 11)\n');
    // Whether the image of another version can be had is not ours to say; that it is asked for is.
    const other = await runEval(service, {
      code: 'import sys; print(sys.version_info[:2])',
      python_version: '3.10',
      config: { timeout_seconds: 30 },
    });
    if (other.status === 'completed') expect(other.stdout).toBe('(3, 10)\n');
    else expect(other.error).toContain('"python:3.10-slim"');
  });

  test.each(['2.7', '3.9', '3', '3.11.1', '3.15', 'latest'])(
    'refuses version %s with the list of those that it has',
    async (python_version) => {
      expect(await refusal({ code: '1', python_version })).toEqual({
        status: 400,
        code: 'unsupported_python_version',
        error: expect.stringContaining('3.10, 3.11, 3.12, 3.13, 3.14'),
      });
    },
  );

  test('refuses requirements for now, but not the word that switches detection off', async () => {
    expect(await refusal({ code: '1', requirements_txt: 'requests' })).toMatchObject({
      status: 400,
      code: 'dependencies_unsupported',
    });
    expect(await runEval(service, { code: 'print(1)', requirements_txt: '-' })).toMatchObject({ stdout: '1\n' });
  });

  test('keeps to config', async () => {
    const { timed_out, status } = await runEval(service, { code: 'while True: pass', config: { timeout_seconds: 1 } });
    expect([status, timed_out]).toEqual(['failed', true]);
    expect(await refusal({ code: '1', config: { memory_mb: -1 } })).toMatchObject({
      status: 400,
      code: 'invalid_config',
    });
  });

  test('takes 100 KB of code and no more', async () => {
    const code = (bytes: number) => `print("x")\n#${'x'.repeat(bytes - 12)}`;
    expect(await runEval(service, { code: code(102_000) })).toMatchObject({ stdout: 'x\n' });
    expect(await refusal({ code: code(102_500) })).toMatchObject({ status: 413, code: 'code_too_large' });
  });

  test.each([
    ['nothing', {}],
    ['code of the wrong type', { code: 5 }],
    ['files of the wrong shape', { files: [{ name: 'x.py' }] }],
    ['an array', []],
    ['a text', 'print(1)'],
  ])('refuses %s', async (_name, request) => {
    expect(await refusal(request)).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test.each(['../x.py', '/x.py', ''])('refuses a file at %j', async (name) => {
    expect(await refusal({ files: [{ name, content: '' }] })).toMatchObject({ status: 400 });
  });

  test('names unknown keys', async () => {
    expect((await runEval(service, { code: '1', cod: '2' })).warnings).toEqual(['Unknown field "cod" was ignored']);
  });
});
