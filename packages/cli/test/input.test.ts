import { chmod, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { packArchive } from '@python-executor/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Recorder, startRecorder } from '../../client/test/recorder.js';
import { type Folder, makeFolder, run } from './command.js';

const completed = { execution_id: 'exe_1', status: 'completed', stdout: '', stderr: '', exit_code: 0 };

let recorder: Recorder;
let folder: Folder | undefined;

beforeAll(async () => {
  recorder = await startRecorder(() => ({ body: completed }));
});
afterEach(async () => {
  await folder?.remove();
  folder = undefined;
});
afterAll(() => recorder.close());

/** Runs in a folder of the given files and returns what the service was sent. */
async function send(
  args: readonly string[],
  files: Record<string, string> = {},
  options: { readonly stdin?: string; readonly env?: Record<string, string> } = {},
) {
  folder ??= await makeFolder(files);
  const sentBefore = recorder.requests.length;
  const outcome = await run(['run', ...args], { server: recorder.url, cwd: folder.path, ...options });
  const request = recorder.requests[sentBefore];
  const contents = Object.fromEntries(request?.entries?.map(({ name, content }) => [name, content]) ?? []);
  return { ...outcome, path: request?.path, metadata: request?.metadata, contents, entries: request?.entries };
}

describe('the program', () => {
  it('is a file, sent under its bare name and run under it', async () => {
    const sent = await send(['scripts/tool.py'], { 'scripts/tool.py': 'print(1)', 'scripts/other.py': '' });
    expect(sent).toMatchObject({ exitCode: 0, stderr: '', path: '/api/v1/exec/sync' });
    expect(sent.contents).toEqual({ 'tool.py': 'print(1)' });
    expect(sent.metadata).toEqual({ entrypoint: 'tool.py' });
  });

  it('is main.py when it is piped in', async () => {
    const sent = await send([], {}, { stdin: 'print("piped")' });
    expect(sent.contents).toEqual({ 'main.py': 'print("piped")' });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py' });
  });

  it('is a directory, files before sub-directories, without __pycache__ and .git', async () => {
    const sent = await send(['app'], {
      'app/main.py': 'import pkg',
      'app/z.txt': '',
      'app/pkg/__init__.py': '1',
      'app/pkg/__pycache__/x.pyc': '',
      'app/.git/HEAD': '',
      'app/a/b/c.py': '2',
    });
    expect(sent.entries?.map(({ name }) => name)).toEqual([
      'main.py',
      'z.txt',
      'a/',
      'a/b/',
      'a/b/c.py',
      'pkg/',
      'pkg/__init__.py',
    ]);
    expect(sent.metadata).toEqual({});
  });

  it('is a tar, sent as it is', async () => {
    const tar = await packArchive([{ name: 'deep/main.py', content: 'print(1)' }]);
    const sent = await send(['code.tar'], { 'code.tar': Buffer.from(tar).toString('latin1') });
    expect(sent.contents).toEqual({ 'deep/main.py': 'print(1)' });
    expect(sent.metadata).toEqual({});
  });

  it('is what --file names, in the given order, each under its bare name', async () => {
    const sent = await send(['--file', 'b/one.py', '--file', 'a/two.py'], { 'b/one.py': '1', 'a/two.py': '2' });
    expect(sent.entries?.map(({ name }) => name)).toEqual(['one.py', 'two.py']);
    expect(sent.metadata).toEqual({});
  });

  it('is the one --file rather than a path, with a warning', async () => {
    const sent = await send(['app', '--file', 'one.py'], { 'one.py': '1', 'app/main.py': '2' });
    expect(sent.contents).toEqual({ 'one.py': '1' });
    expect(sent.metadata).toEqual({ entrypoint: 'one.py' });
    expect(sent.stderr).toBe('warning: "app" is not sent, because --file is given\n');
  });

  it('is the directory when a directory is called like a tar', async () => {
    const sent = await send(['odd.tar'], { 'odd.tar/main.py': '1' });
    expect(sent.contents).toEqual({ 'main.py': '1' });
  });

  it('keeps its executable bits', async () => {
    folder = await makeFolder({ 'app/main.py': '', 'app/tool.sh': '' });
    await chmod(join(folder.path, 'app/tool.sh'), 0o755);
    const sent = await send(['app']);
    expect(sent.entries?.map(({ name, mode }) => [name, mode])).toEqual([
      ['main.py', 0o644],
      ['tool.sh', 0o755],
    ]);
  });
});

describe('symbolic links', () => {
  it('to files inside the directory are sent as their content', async () => {
    folder = await makeFolder({ 'app/lib/real.py': 'content' });
    await symlink('lib/real.py', join(folder.path, 'app/main.py'));
    const sent = await send(['app']);
    expect(sent.contents).toMatchObject({ 'main.py': 'content', 'lib/real.py': 'content' });
    expect(sent.entries?.[0]).toMatchObject({ name: 'main.py', type: 'file' });
  });

  it.each([
    ['out of the directory', '../secret.txt'],
    ['to nowhere', 'missing.py'],
    ['to a directory', 'lib'],
    ['to themselves', 'link'],
  ])('%s are refused and nothing is sent', async (_, target) => {
    folder = await makeFolder({ 'app/lib/real.py': '', 'secret.txt': 's' });
    await symlink(target, join(folder.path, 'app/link'));
    const sent = await send(['app']);
    expect(sent).toMatchObject({
      exitCode: 2,
      stderr: 'error: Cannot send symbolic link "app/link": it does not lead to a file inside "app"\n',
      path: undefined,
    });
  });
});

describe('stdin', () => {
  it("becomes the program's when there is a path", async () => {
    const sent = await send(['main.py'], { 'main.py': '1' }, { stdin: 'line ä\n' });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py', stdin: 'line ä\n' });
  });

  it("becomes the program's when there is --file", async () => {
    const sent = await send(['--file', 'main.py'], { 'main.py': '1' }, { stdin: '\ufeffx' });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py', stdin: '\ufeffx' });
  });

  it('that is not UTF-8 is refused', async () => {
    folder = await makeFolder({ 'main.py': '1' });
    const outcome = await run(['run', 'main.py'], {
      server: recorder.url,
      cwd: folder.path,
      stdin: new Uint8Array([0xff]),
    });
    expect(outcome).toEqual({ exitCode: 2, stdout: '', stderr: 'error: Cannot send stdin: it is not UTF-8\n' });
  });
});

describe('flags', () => {
  it('of the whole command become metadata, before and after the name of the command', async () => {
    folder = await makeFolder({ 'main.py': '1' });
    const before = ['--timeout', '5', '--memory', '64', '--image', 'python:3.12-slim'];
    const after = ['--disk', '32', '--cpu', '512', '--network', 'main.py'];
    await run([...before, 'run', ...after], { server: recorder.url, cwd: folder.path });
    expect(recorder.requests.at(-1)?.metadata).toEqual({
      entrypoint: 'main.py',
      docker_image: 'python:3.12-slim',
      config: { timeout_seconds: 5, memory_mb: 64, disk_mb: 32, cpu_shares: 512, network_disabled: false },
    });
  });

  it('of 0 leave the choice to the server', async () => {
    const sent = await send(['--timeout', '0', '--memory', '0', 'main.py'], { 'main.py': '1' });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py' });
  });

  it('--entrypoint and --requirements are sent', async () => {
    const sent = await send(['.', '--entrypoint', 'a/b.py', '--requirements', 'needs.txt'], { 'needs.txt': 'six\n' });
    expect(sent.metadata).toEqual({ entrypoint: 'a/b.py', requirements_txt: 'six\n' });
  });

  it('-e sets a variable, or passes ours on', async () => {
    const args = ['-e', 'A=1=2', '--env', 'TOKEN', '-eEMPTY=', 'main.py'];
    const sent = await send(args, { 'main.py': '1' }, { env: { TOKEN: 'secret' } });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py', env_vars: ['A=1=2', 'TOKEN=secret', 'EMPTY='] });
  });

  it('after -- are arguments of the program, whatever they look like', async () => {
    const sent = await send(['main.py', '--', '-v', '--timeout', 'x', '--', '$(id)', ''], { 'main.py': '1' });
    expect(sent.metadata).toEqual({
      entrypoint: 'main.py',
      script_args: ['-v', '--timeout', 'x', '--', '$(id)', ''],
    });
  });

  it('after -- reach a program that is piped in, too', async () => {
    const sent = await send(['--', 'a', 'b'], {}, { stdin: 'print(1)' });
    expect(sent.contents).toEqual({ 'main.py': 'print(1)' });
    expect(sent.metadata).toEqual({ entrypoint: 'main.py', script_args: ['a', 'b'] });
  });
});

describe('what cannot be sent is refused with exit code 2:', () => {
  it.each([
    ['a path that does not exist', ['nope.py'], 'Cannot send "nope.py": there is no such file or directory'],
    ['a file that does not exist', ['--file', 'nope.py'], 'Cannot send "nope.py": there is no such file or directory'],
    ['an empty pipe', [], 'Cannot run: no program is given and stdin is empty'],
    [
      'two files of one name',
      ['--file', 'main.py', '--file', 'lib/main.py'],
      'Cannot send both "main.py" and "lib/main.py": both become "main.py"',
    ],
    [
      'a variable that is not set',
      ['main.py', '-e', 'NOPE'],
      'Cannot pass environment variable "NOPE": it is not set here; write NOPE=value',
    ],
    ['a variable without a name', ['main.py', '-e', '=1'], 'Cannot set environment variable "=1": it has no name'],
    [
      'a second path',
      ['main.py', 'lib/main.py'],
      'Unexpected argument "lib/main.py": arguments of the program follow "--"',
    ],
    ['a device', ['/dev/null'], 'Cannot send "/dev/null": it is neither a file nor a directory'],
  ])('%s', async (_, args, message) => {
    const sent = await send(args, { 'main.py': '1', 'lib/main.py': '2' });
    expect(sent).toMatchObject({ exitCode: 2, stdout: '', stderr: `error: ${message}\n`, path: undefined });
  });

  it('a requirements file that does not exist', async () => {
    const sent = await send(['main.py', '--requirements', 'nope.txt'], { 'main.py': '1' });
    expect(sent).toMatchObject({ exitCode: 2, stdout: '', path: undefined });
    expect(sent.stderr).toMatch(/^error: Cannot read requirements file "nope.txt": ENOENT/);
  });
});
