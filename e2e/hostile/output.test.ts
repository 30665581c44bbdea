import { describe, expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { multipartOf, multipartType, uploadParts } from '../support/multipart.js';
import { tarOfFiles } from '../support/tar.js';

const service = serviceForFile();

describe('19: output that is no text', () => {
  test.each([
    ['NUL', 'b"a\\0b"', 'a\0b'],
    ['a lone surrogate', 'b"a\\xed\\xa0\\x80b"', 'a\ufffd\ufffd\ufffdb'],
    ['invalid UTF-8', 'b"a\\xff\\xfe\\xc0\\x80b"', 'a\ufffd\ufffd\ufffd\ufffdb'],
    ['half a character at the end', 'b"a\\xe2\\x82"', 'a\ufffd'],
    [
      'control characters',
      'bytes(range(32)) + b"\\x7f"',
      `${String.fromCharCode(...Array.from({ length: 32 }, (_, index) => index))}\u007f`,
    ],
    ['a byte order mark', 'b"\\xef\\xbb\\xbfx"', '\ufeffx'],
    ['line separators', '"\\u2028\\u2029".encode()', '\u2028\u2029'],
    ['what looks like JSON', 'b\'"},{"stdout":"\'', '"},{"stdout":"'],
    ['a frame of our protocol', 'b"Z\\0\\0\\0\\x05phase"', 'Z\0\0\0\u0005phase'],
  ])('is valid JSON all the same: %s', async (_name, bytes, text) => {
    const program = `import sys\nsys.stdout.buffer.write(${bytes})\nsys.stderr.buffer.write(${bytes})`;
    const response = await fetch(`${service.url}/api/v1/exec/sync`, {
      method: 'POST',
      body: multipartOf(uploadParts(tarOfFiles({ 'main.py': program }))),
      headers: { 'content-type': multipartType },
    });
    const body = await response.text();
    expect(body).not.toMatch(/\p{Surrogate}/u);
    expect(JSON.parse(body)).toMatchObject({ status: 'completed', stdout: text, stderr: text });
  });

  test('comes whole when its characters come in pieces', async () => {
    const program = `
import os, time
for byte in "a€😀é".encode():
    os.write(1, bytes((byte,)))
    time.sleep(0.02)`;
    expect((await run(service, program)).stdout).toBe('a€😀é');
  });
});

describe('19: a background child that keeps stdout open', () => {
  async function seconds(program: string): Promise<[number, object]> {
    const began = performance.now();
    const result = await run(service, program, { config: { timeout_seconds: 20 } });
    return [(performance.now() - began) / 1000, result];
  }

  test.each([
    ['silent', '["sleep", "1000"]'],
    ['in a session of its own', '["setsid", "sleep", "1000"]'],
    ['chatty', '["sh", "-c", "while :; do echo x; sleep 0.01; done"]'],
    ['flooding', '["sh", "-c", "exec cat /dev/zero"]'],
    ['flooding stderr', '["sh", "-c", "exec cat /dev/zero >&2"]'],
  ])('and is %s does not hold up the answer', async (_name, command) => {
    const [elapsed, result] = await seconds(
      `import subprocess, time\nprint("done", flush=True)\nsubprocess.Popen(${command})\ntime.sleep(0.3)`,
    );
    expect(result).toMatchObject({ status: 'completed', exit_code: 0, timed_out: false });
    expect(result).toHaveProperty('stdout', expect.stringMatching(/^done\n/));
    expect(elapsed).toBeLessThan(5);
  });

  test('of a pre_command does not hold up the program', async () => {
    const began = performance.now();
    const result = await run(service, 'print("ran")', { pre_commands: ['sleep 1000 &', 'cat /dev/zero >&2 &'] });
    expect(result).toMatchObject({ status: 'completed', exit_code: 0, stdout: 'ran\n' });
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('20: stdin', () => {
  const megabytes10 = 'x'.repeat(10_000_000);

  test.each([
    ['never read', 'print("done")', 'done\n'],
    ['closed', 'import os; os.close(0); print("done")', 'done\n'],
    ['read a little', 'import sys; print(sys.stdin.read(3))', 'xxx\n'],
    ['read whole, late', 'import sys, time; time.sleep(0.5); print(len(sys.stdin.read()))', '10000000\n'],
    [
      'read after much was printed',
      'import sys; print("y" * 1_000_000, file=sys.stderr); print(len(sys.stdin.read()))',
      '10000000\n',
    ],
    ['passed on', 'import subprocess; print(len(subprocess.check_output(["cat"])))', '10000000\n'],
  ])('of 10 MB that is %s makes no deadlock', async (_name, program, stdout) => {
    const result = await run(service, program, { stdin: megabytes10, config: { timeout_seconds: 30 } });
    expect(result).toMatchObject({ status: 'completed', exit_code: 0, stdout });
  });

  test('of 10 MB is echoed whole', async () => {
    const program = 'import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)';
    const { stdout } = await run(service, program, { stdin: megabytes10 });
    expect(stdout === megabytes10).toBe(true);
  });
});

describe('20: the end of a program', () => {
  test.each([
    ['sys.exit(300)', 44],
    ['sys.exit(-1)', 255],
    ['sys.exit("message")', 1],
    ['os._exit(7)', 7],
    ['raise SystemExit', 0],
    ['1 / 0', 1],
    ['os.execvp("sh", ["sh", "-c", "exit 9"])', 9],
  ])('by %s has exit code %i', async (code, exitCode) => {
    const result = await run(service, `import os, sys\n${code}`);
    expect(result).toMatchObject({
      status: 'completed',
      exit_code: exitCode,
      termination: { reason: 'exit', phase: 'run' },
    });
    expect(result.error).toBeUndefined();
  });

  test.each([
    ['ctypes.string_at(0)', 11],
    ['os.abort()', 6],
    ['os.kill(os.getpid(), 15)', 15],
    ['os.kill(os.getpid(), 9)', 9],
    ['os.kill(os.getpid(), 2); import time; time.sleep(5)', 2],
    ['os.kill(os.getpid(), 34)', 34],
  ])('by signal, as in %s, is a completed one', async (code, signal) => {
    const result = await run(service, `import ctypes, os\n${code}`);
    expect(result).toMatchObject({
      status: 'completed',
      exit_code: 128 + signal,
      oom_killed: false,
      termination: { reason: 'signal', phase: 'run', signal },
    });
  });

  test('leaves no core file anywhere', async () => {
    const program = `
import glob, os, subprocess, sys
subprocess.run([sys.executable, "-c", "import os; os.abort()"])
print(glob.glob("/work/core*") + glob.glob("/tmp/core*"))`;
    expect((await run(service, program)).stdout).toBe('[]\n');
  });
});
