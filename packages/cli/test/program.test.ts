import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../dist/program.js';
import { run } from './command.js';

describe('version', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(await run(['version'])).toEqual({ exitCode: 0, stdout: `python-executor ${version}\n`, stderr: '' });
  });
});

describe('help', () => {
  it('is there for everything, with the global flags', () => {
    const program = buildProgram();
    expect(program.commands.map((command) => command.name())).toEqual(['run', 'serve', 'version', 'doctor', 'images']);
    for (const command of program.commands) {
      expect(command.helpInformation()).toContain('--server <url>');
    }
  });

  it('goes to stdout and exits with 0 when it is asked for', async () => {
    const outcome = await run(['run', '--help']);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/^Usage: python-executor run/);
  });

  it('goes to stderr and exits with 2 when there is no command', async () => {
    const outcome = await run([]);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^Usage: python-executor/);
  });
});

describe('a command line that makes no sense exits with 2:', () => {
  it.each([
    ['an unknown command', ['destroy'], "unknown command 'destroy'"],
    ['an unknown flag', ['run', 'main.py', '--foo'], "unknown option '--foo'"],
    ['a negative number', ['run', '--timeout', '-1'], 'It must be a whole number, 0 or more.'],
    ['a fraction', ['run', '--memory', '1.5'], 'It must be a whole number, 0 or more.'],
    ['a server that is no URL', ['run', '--server', 'localhost:8080'], 'It must be an http or https URL'],
    ['quiet and verbose', ['-q', 'run', '-v'], "'-q, --quiet' cannot be used with option '-v, --verbose'"],
  ])('%s', async (_, args, message) => {
    const outcome = await run(args, { stdin: 'print()' });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain(message);
  });

  it('a server in the environment that is no URL', async () => {
    const outcome = await run(['run'], { stdin: 'print()', server: 'nope' });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain("'nope' from env 'PYEXEC_SERVER' is invalid");
  });
});
