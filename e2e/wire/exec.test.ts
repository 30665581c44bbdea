import type { ExecutionResult } from '@python-executor/contract';
import { describe, expect, test, vi } from 'vitest';
import { call, postParts, read, refusalOf, refused, run, submit } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import type { Part } from '../support/multipart.js';
import { tarOfFiles } from '../support/tar.js';

const service = serviceForFile();
const hello = { 'main.py': 'print("hello")' };

describe('POST /exec/sync', () => {
  test('answers with every field that a finished execution has', async () => {
    const result = await run(service, 'import sys; print("out"); print("err", file=sys.stderr)');
    expect(result).toEqual({
      execution_id: expect.stringMatching(/^exe_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      status: 'completed',
      stdout: 'out\n',
      stderr: 'err\n',
      exit_code: 0,
      started_at: expect.any(String),
      finished_at: expect.any(String),
      duration_ms: expect.any(Number),
      termination: { reason: 'exit', phase: 'run' },
      timed_out: false,
      oom_killed: false,
      stdout_truncated: false,
      stderr_truncated: false,
      usage: { wall_ms: expect.any(Number), cpu_ms: expect.any(Number), memory_peak_bytes: expect.any(Number) },
    });
    const { duration_ms: duration = -1, usage } = result;
    expect(usage?.wall_ms).toBeLessThanOrEqual(duration + 1);
    expect(usage?.cpu_ms).toBeGreaterThan(0);
    expect(usage?.memory_peak_bytes).toBeGreaterThan(1024 * 1024);
  });

  test('gives timestamps that the Python clients in the field can read', async () => {
    const { started_at, finished_at, duration_ms = -1 } = await run(service, 'import time; time.sleep(0.3)');
    const parse = `
import datetime, sys
began, ended = (datetime.datetime.fromisoformat(value.rstrip("Z")) for value in sys.argv[1:])
print((ended - began).total_seconds(), abs((datetime.datetime.utcnow() - ended).total_seconds()) < 60)`;
    const { stdout, stderr } = await run(service, parse, { script_args: [started_at, finished_at] });
    expect(stderr).toBe('');
    const [seconds, isNow] = stdout.trim().split(' ');
    expect(Number(seconds) * 1000).toBeGreaterThanOrEqual(300);
    expect(Math.abs(Number(seconds) * 1000 - duration_ms)).toBeLessThan(100);
    expect(isNow).toBe('True');
    for (const value of [started_at, finished_at]) expect(value).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  });

  test('measures what a program uses', async () => {
    const program =
      'x = bytearray(b"x") * 100_000_000\nimport time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass';
    const { usage } = await run(service, program);
    expect(usage?.memory_peak_bytes).toBeGreaterThan(100_000_000);
    expect(usage?.memory_peak_bytes).toBeLessThan(200_000_000);
    expect(usage?.cpu_ms).toBeGreaterThanOrEqual(500);
    expect(usage?.wall_ms).toBeGreaterThanOrEqual(500);
  });

  test("tells which exception ended the program, and where in the user's own file", async () => {
    const files = {
      'main.py': 'import helper\n\nhelper.fail()',
      'helper.py': 'import json\ndef fail():\n    json.loads("{")',
    };
    expect(await run(service, files)).toMatchObject({
      status: 'completed',
      exit_code: 1,
      error_type: 'JSONDecodeError',
      error_line: 3,
      stderr: expect.stringContaining('json.decoder.JSONDecodeError'),
    });
    expect(await run(service, 'x = (')).toMatchObject({ exit_code: 1, error_type: 'SyntaxError', error_line: 1 });
    const fine = await run(service, 'try: 1 / 0\nexcept ZeroDivisionError: pass');
    expect(fine).not.toHaveProperty('error_type');
  });
});

describe('POST /exec/async', () => {
  test('answers with an id, under which everything is read until the end and after it', async () => {
    const id = await submit(service, 'import time\nprint("first", flush=True)\ntime.sleep(0.5)\nprint("second")');
    expect(id).toMatch(/^exe_[0-9a-f-]{36}$/);
    const seen = new Set<string>();
    const result = await vi.waitFor(
      async () => {
        const now = await read(service, id);
        seen.add(`${now.status} ${now.stdout.split('\n').length - 1}`);
        expect(now.status).toBe('completed');
        return now;
      },
      { timeout: 10_000, interval: 20 },
    );
    expect(result).toMatchObject({ execution_id: id, exit_code: 0, stdout: 'first\nsecond\n' });
    expect([...seen]).toContain('running 1');
    expect(await read(service, id)).toEqual(result);
  });

  test('says of a running execution what is known and nothing else', async () => {
    const id = await submit(service, 'import time\nprint("so far", flush=True)\ntime.sleep(60)');
    const running = await vi.waitFor(
      async () => {
        const now = await read(service, id);
        expect(now.stdout).toBe('so far\n');
        return now;
      },
      { timeout: 5_000, interval: 20 },
    );
    expect(running).toEqual({
      execution_id: id,
      status: 'running',
      stdout: 'so far\n',
      stderr: '',
      exit_code: 0,
      started_at: expect.any(String),
    });
    await call(service, 'DELETE', `/api/v1/executions/${id}`);
  });

  test('gives the same result as a sync execution', async () => {
    const program = 'import sys; print("x"); sys.exit(3)';
    const sync = await run(service, program);
    const id = await submit(service, program);
    const asynchronous = await vi.waitFor(
      async () => {
        const now = await read(service, id);
        expect(now.status).toBe('completed');
        return now;
      },
      { timeout: 5_000, interval: 20 },
    );
    expect(Object.keys(asynchronous).sort()).toEqual(Object.keys(sync).sort());
    expect(asynchronous).toMatchObject({ stdout: 'x\n', exit_code: 3 });
    expect(await read(service, sync.execution_id)).toEqual(sync);
  });
});

describe('the parts of an upload', () => {
  const content = JSON.stringify({ script_args: ['x'] });
  const tar: Part = {
    name: 'tar',
    filename: 'code.tar',
    type: 'application/x-tar',
    content: tarOfFiles({ 'main.py': 'import sys; print(sys.argv)' }),
  };

  test.each<[string, Part]>([
    ['a field', { name: 'metadata', content }],
    ['a field of type application/json', { name: 'metadata', type: 'application/json', content }],
    ['a file', { name: 'metadata', filename: 'metadata.json', type: 'application/json', content }],
    ['a file of no type', { name: 'metadata', filename: 'metadata', content }],
  ])('may bring metadata as %s, in either order', async (_name, metadata) => {
    for (const parts of [
      [tar, metadata],
      [metadata, tar],
    ]) {
      const { status, body } = await postParts(service, 'sync', parts);
      expect([status, (body as ExecutionResult).stdout]).toEqual([200, "['main.py', 'x']\n"]);
    }
  });

  test('may be others too, which are named in the warnings', async () => {
    const parts = [tar, { name: 'metadata', content }, { name: 'extra', content: 'x' }];
    const { body } = await postParts(service, 'sync', parts);
    expect((body as ExecutionResult).warnings).toEqual(['Unknown part "extra" was ignored']);
  });

  test.each([
    ['no JSON', '{'],
    ['an array', '[]'],
    ['a string', '"x"'],
    ['empty', ''],
  ])('cannot have metadata that is %s', async (_name, metadata) => {
    expect(await refused(service, hello, metadata)).toMatchObject({ status: 400, code: 'invalid_metadata' });
  });

  test.each([
    ['script_args', 'x'],
    ['script_args', [1]],
    ['env_vars', { A: 'b' }],
    ['env_vars', ['A']],
    ['env_vars', ['=b']],
    ['env_vars', ['A=b\0']],
    ['stdin', 5],
    ['entrypoint', []],
    ['docker_image', 7],
    ['pre_commands', 'ls'],
  ])('cannot have %s of the wrong type: %j', async (field, value) => {
    const { status, code, error } = await refused(service, hello, { [field]: value });
    expect([status, code]).toEqual([400, 'invalid_metadata']);
    expect(error).toContain(field);
  });
});

describe('metadata', () => {
  test('with unknown keys is accepted, and they are named', async () => {
    const { status, warnings } = await run(service, hello, {
      timout_seconds: 5,
      config: { memory: 7 },
      __proto__: null,
    });
    expect(status).toBe('completed');
    expect(warnings).toEqual(
      expect.arrayContaining([
        'Unknown field "timout_seconds" was ignored',
        'Unknown field "config.memory" was ignored',
      ]),
    );
  });

  test('with null in a field counts as without it', async () => {
    const metadata = {
      entrypoint: null,
      docker_image: null,
      stdin: null,
      env_vars: null,
      script_args: null,
      pre_commands: null,
      requirements_txt: null,
    };
    expect(await run(service, hello, metadata)).toMatchObject({ stdout: 'hello\n' });
  });

  test.each([
    ['timeout_seconds', 3_600],
    ['memory_mb', 8_192],
    ['disk_mb', 10_240],
    ['cpu_shares', 262_144],
  ])('may ask for %s up to %i and no more', async (field, cap) => {
    expect(await run(service, hello, { config: { [field]: cap } })).toMatchObject({ stdout: 'hello\n' });
    const refusal = await refused(service, hello, { config: { [field]: cap + 1 } });
    expect(refusal).toMatchObject({
      status: 400,
      code: 'invalid_config',
      error: expect.stringContaining(`config.${field}`),
    });
  });

  test('that asks for more disk than memory warns; the defaults do not', async () => {
    const { warnings } = await run(service, hello, { config: { disk_mb: 512, memory_mb: 256 } });
    expect(warnings).toEqual([expect.stringContaining('disk_mb')]);
    expect(await run(service, hello)).not.toHaveProperty('warnings');
  });

  test('with requirements is refused for now', async () => {
    expect(await refused(service, hello, { requirements_txt: 'requests' })).toMatchObject({
      status: 400,
      code: 'dependencies_unsupported',
    });
    expect(await run(service, hello, { requirements_txt: '' })).toMatchObject({ stdout: 'hello\n' });
  });

  test('sets variables, stdin and arguments', async () => {
    const program =
      'import os, sys; print(os.environ["A"], os.environ["B"], os.environ["PATH"], sys.argv[1:], sys.stdin.read())';
    const metadata = {
      env_vars: ['A=1=2', 'B=', 'PATH=/bin:/usr/bin', 'A=last'],
      stdin: 'ü\n\0',
      script_args: ['--x', ''],
    };
    expect((await run(service, program, metadata)).stdout).toBe("last  /bin:/usr/bin ['--x', ''] ü\n\0\n");
  });

  test('without stdin gives an end of file at once', async () => {
    expect((await run(service, 'import sys; print(repr(sys.stdin.read()))')).stdout).toBe("''\n");
  });

  test('limits memory as asked', async () => {
    const program = 'x = bytearray(b"x") * 200_000_000; print("fits")';
    expect(await run(service, program, { config: { memory_mb: 400 } })).toMatchObject({ stdout: 'fits\n' });
    expect(await run(service, program, { config: { memory_mb: 100 } })).toMatchObject({
      status: 'failed',
      oom_killed: true,
    });
  });
});

describe('the entrypoint', () => {
  const named = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 'print(__file__)']));

  test.each([
    [['other.py', '__main__.py', 'main.py'], 'main.py'],
    [['other.py', '__main__.py'], '__main__.py'],
    [['README.md', 'b.py', 'a.py'], 'b.py'],
    [['src/app.py'], 'src/app.py'],
  ])('is found among %j', async (names, found) => {
    expect((await run(service, named(...names))).stdout).toBe(`/work/${found}\n`);
  });

  test('may be named, below a directory too, which is then the first place of imports', async () => {
    const files = {
      'src/app.py': 'import sys; from helper import x; print(x, sys.path[0], sys.argv, __import__("os").getcwd())',
      'src/helper.py': 'x = 1',
    };
    expect((await run(service, files, { entrypoint: 'src/app.py' })).stdout).toBe("1 /work/src ['src/app.py'] /work\n");
    expect((await run(service, files, { entrypoint: './src//app.py' })).stdout).toContain("['src/app.py']");
  });

  test('that is not there is refused', async () => {
    expect(await refused(service, { 'data.txt': 'x' })).toMatchObject({ status: 400, code: 'entrypoint_not_found' });
    expect(await refused(service, hello, { entrypoint: 'x.py' })).toMatchObject({
      status: 400,
      code: 'entrypoint_not_found',
    });
  });
});

describe('GET /health and GET /ready', () => {
  test('say that all is well', async () => {
    const health = await call(service, 'GET', '/health');
    expect([health.status, health.body]).toEqual([200, { status: 'ok' }]);
    expect((await call(service, 'GET', '/ready')).status).toBe(200);
  });
});

test('an image that is not there is a failed execution, not an error of HTTP', async () => {
  const result = await run(service, hello, { docker_image: 'missing.invalid/image' });
  expect(result).toMatchObject({
    status: 'failed',
    exit_code: 125,
    stdout: '',
    termination: { reason: 'image_unavailable' },
  });
  expect(result.error).toContain('"missing.invalid/image"');
  expect(refusalOf(await call(service, 'GET', '/api/v1/executions/x')).code).toBe('execution_not_found');
});
