import { describe, expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile();

describe('pre_commands', () => {
  test('run as root with a writable root, in order, in a shell, and the program as a user afterwards', async () => {
    const pre_commands = [
      'echo "$(id -u) $PWD"; echo one > /usr/local/made',
      'echo two >> /usr/local/made; export LOST=1',
      'cd /; for n in 3 4; do echo $n; done | tac >> /usr/local/made; echo "[$LOST]"',
    ];
    const program =
      'import os; print(open("/usr/local/made").read().split(), os.getuid(), os.getcwd(), os.environ.get("LOST"))';
    expect(await run(service, program, { pre_commands })).toMatchObject({
      status: 'completed',
      exit_code: 0,
      stdout: "0 /work\n[]\n['one', 'two', '4', '3'] 1000 /work None\n",
      stderr: '',
      termination: { reason: 'exit', phase: 'run' },
    });
  });

  test('see the files, which belong to the user, and may change them', async () => {
    const pre_commands = [
      'stat -c "%u %n" main.py data.txt; echo changed > data.txt; chmod 600 data.txt; ls -ld /work | cut -c1-10',
    ];
    const files = { 'main.py': 'print(open("data.txt").read(), end="")', 'data.txt': 'old' };
    expect((await run(service, files, { pre_commands })).stdout).toBe(
      '1000 main.py\n1000 data.txt\ndrwxr-xr-x\nchanged\n',
    );
  });

  test.each([
    ['exit 7', 7, 'exit', undefined],
    ['false', 1, 'exit', undefined],
    ['no-such-command', 127, 'exit', undefined],
    ['if then', 2, 'exit', undefined],
    ['kill -9 $$', 137, 'signal', 9],
  ])('end with the first that fails, before the program: %s', async (command, exitCode, reason, signal) => {
    const result = await run(service, 'print("never")', { pre_commands: ['echo before', command, 'echo after'] });
    expect(result).toMatchObject({ status: 'completed', exit_code: exitCode, stdout: 'before\n' });
    expect(result.termination).toEqual({ reason, phase: 'setup', ...(signal !== undefined && { signal }) });
  });

  test('get the variables of the request, and leave its stdin to the program', async () => {
    const metadata = { pre_commands: ['cat; echo $NAME'], env_vars: ['NAME=value'], stdin: 'in' };
    expect((await run(service, 'import sys; print(sys.stdin.read())', metadata)).stdout).toBe('value\nin\n');
  });

  test('count towards the time limit', async () => {
    const pre_commands = ['sleep 1.2'];
    const result = await run(service, 'import time; time.sleep(1.2)', { pre_commands, config: { timeout_seconds: 2 } });
    expect(result).toMatchObject({
      status: 'failed',
      timed_out: true,
      termination: { reason: 'timeout', phase: 'run' },
    });
  });

  test('may install what the program imports', async () => {
    const pre_commands = [
      'd=$(python3 -c "import site; print([p for p in __import__(\'sys\').path if p.endswith(\'-packages\')][0])") && echo "value = 42" > $d/installed.py',
    ];
    expect((await run(service, 'import installed; print(installed.value)', { pre_commands })).stdout).toBe('42\n');
  });

  test('may make users and give files to them, as package managers do', async () => {
    const pre_commands = [
      'echo "extra:x:4242:4242::/:/bin/sh" >> /etc/passwd; touch /opt/file; chown 4242:4242 /opt/file; chmod 4755 /opt/file; stat -c "%u %a" /opt/file',
      'setpriv --reuid 4242 --clear-groups id -u 2>/dev/null || su extra -c "id -u"',
    ];
    expect(await run(service, 'pass', { pre_commands })).toMatchObject({ exit_code: 0, stdout: '4242 4755\n4242\n' });
  });

  test('have no network unless it is asked for', async () => {
    const pre_commands = ['python3 -c "import os; print(os.listdir(\'/sys/class/net\'))"'];
    expect((await run(service, 'pass', { pre_commands })).stdout).toBe("['lo']\n");
  });

  test('of nothing are no setup at all', async () => {
    expect((await run(service, 'import os; print(os.access("/usr", os.W_OK))', { pre_commands: [] })).stdout).toBe(
      'False\n',
    );
  });
});
