import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { read } from './support/api.js';
import { type CommandResult, runCommand } from './support/command.js';
import { serviceForFile } from './support/file-service.js';
import { executable } from './support/service.js';
import { tarOfFiles } from './support/tar.js';

const service = serviceForFile();
let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pyexec-cli-'));
  const files: Readonly<Record<string, string | Buffer>> = {
    'hello.py': 'import sys; print("hello", *sys.argv[1:]); print("aside", file=sys.stderr); sys.exit(3)',
    'echo.py': 'import sys; print(sys.stdin.read().upper(), end="")',
    'project/main.py': 'from package.helper import greet; print(greet())',
    'project/tool.py': 'print("tool")',
    'project/package/__init__.py': '',
    'project/package/helper.py': 'def greet(): return "from the project"',
    'project.tar': tarOfFiles({ 'main.py': 'print("from the tar")', 'other.py': 'print("other")' }),
    'broken.py': 'raise KeyError("x")',
  };
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, content);
  }
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function command(args: readonly string[], stdin = ''): Promise<CommandResult> {
  const env = { ...process.env, PYEXEC_SERVER: service.url, FROM_HERE: 'kept' };
  return runCommand(process.execPath, [executable, ...args], { cwd: directory, env, stdin });
}

describe('python-executor run', () => {
  test.each<[string, readonly string[], CommandResult]>([
    ['a file', ['run', 'echo.py'], { exitCode: 0, stdout: '', stderr: '' }],
    ['a directory', ['run', 'project'], { exitCode: 0, stdout: 'from the project\n', stderr: '' }],
    [
      'a directory by another entrypoint',
      ['run', 'project', '--entrypoint', 'tool.py'],
      { exitCode: 0, stdout: 'tool\n', stderr: '' },
    ],
    ['a tar', ['run', 'project.tar'], { exitCode: 0, stdout: 'from the tar\n', stderr: '' }],
    [
      'a tar by another entrypoint',
      ['run', '--entrypoint', 'other.py', 'project.tar'],
      { exitCode: 0, stdout: 'other\n', stderr: '' },
    ],
    [
      'files by name',
      ['run', '--file', 'echo.py', '--file', 'project/main.py', '--entrypoint', 'echo.py'],
      { exitCode: 0, stdout: '', stderr: '' },
    ],
    [
      'with arguments, and exits as the program does',
      ['run', 'hello.py', '--', '-x', 'a b'],
      { exitCode: 3, stdout: 'hello -x a b\n', stderr: 'aside\n' },
    ],
    ['quietly', ['-q', 'run', 'hello.py'], { exitCode: 3, stdout: 'hello\n', stderr: '' }],
  ])('runs %s', async (_name, args, expected) => {
    expect(await command(args)).toEqual(expected);
  });

  test('runs what is piped in', async () => {
    expect(await command(['run'], 'print("piped")')).toEqual({ exitCode: 0, stdout: 'piped\n', stderr: '' });
  });

  test('passes on what is piped in when there is a program already', async () => {
    expect(await command(['run', 'echo.py'], 'some input')).toEqual({ exitCode: 0, stdout: 'SOME INPUT', stderr: '' });
  });

  test('tells more when it is asked to', async () => {
    const { exitCode, stdout, stderr } = await command(['run', '-v', 'hello.py']);
    expect([exitCode, stdout]).toEqual([3, 'hello\n']);
    expect(stderr).toMatch(
      /^aside\nexecution: exe_[0-9a-f-]{36}\nstatus: completed\nexit code: 3\nended by: exit in phase run\nduration: \d+ ms\nusage: /,
    );
  });

  test('sets variables', async () => {
    await writeFile(join(directory, 'env.py'), 'import os; print(os.environ["FROM_HERE"], os.environ["GIVEN"])');
    const { stdout } = await command(['run', '-e', 'FROM_HERE', '-e', 'GIVEN=a=b', 'env.py']);
    expect(stdout).toBe('kept a=b\n');
  });

  test('keeps to limits, and says which one ended the program', async () => {
    const { exitCode, stdout, stderr } = await command(
      ['run', '--timeout', '1'],
      'print("so far", flush=True)\nwhile True: pass',
    );
    expect([exitCode, stdout]).toEqual([137, 'so far\n']);
    expect(stderr).toContain('Timed out after 1 s');
    expect((await command(['run', '--memory', '64'], 'x = b"x" * 10 ** 9')).exitCode).toBe(137);
  });

  test('shows the error of a program and exits with 1', async () => {
    const { exitCode, stderr } = await command(['run', 'broken.py']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^Traceback[\s\S]*File "\/work\/broken\.py", line 1[\s\S]*KeyError: 'x'\n$/);
  });

  test('submits and does not wait with --async', async () => {
    const { exitCode, stdout } = await command(['run', '--async', 'project']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^exe_[0-9a-f-]{36}\n$/);
    await vi.waitFor(
      async () => expect((await read(service, stdout.trim())).stdout).toBe('from the project\n'),
      10_000,
    );
  });

  test('stops the execution when it is interrupted', async () => {
    await writeFile(join(directory, 'forever.py'), 'while True: pass');
    const ended = () => service.log.filter((line) => line.includes('"status":"killed"')).length;
    const before = ended();
    const env = { ...process.env, PYEXEC_SERVER: service.url };
    const interrupted = await runCommand(
      'timeout',
      ['--signal=INT', '2', process.execPath, executable, 'run', 'forever.py'],
      { cwd: directory, env },
    );
    expect(interrupted.exitCode).not.toBe(0);
    await vi.waitFor(() => expect(ended()).toBe(before + 1), 5_000);
  });

  test.each([
    ['a path that is not there', ['run', 'nowhere.py'], /^error: .*"nowhere\.py"/],
    ['a refusal of the service', ['run', '--timeout', '99999', 'hello.py'], /^error: .*timeout_seconds/],
    ['a service that is not there', ['--server', 'http://127.0.0.1:1', 'run', 'hello.py'], /^error: .*127\.0\.0\.1:1/],
  ])('says what is wrong in one line: %s', async (_name, args, message) => {
    const { exitCode, stdout, stderr } = await command(args);
    expect(exitCode).toBeGreaterThan(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
