import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCommand } from './support/command.js';
import { serviceForFile } from './support/file-service.js';

const service = serviceForFile();
const client = fileURLToPath(new URL('../clients/python', import.meta.url));
const fallback = fileURLToPath(new URL('../.cache/test/bin/python', import.meta.url));
/** An interpreter that has the client's `dev` extra; scripts/test.sh makes one. */
const python = process.env.PYEXEC_TEST_PYTHON ?? fallback;
const testMs = 300_000;

/** Runs a Python tool in the client's directory; when it fails, so does this, with everything that it said. */
async function expectPass(...args: readonly string[]): Promise<void> {
  if (!existsSync(python)) throw new Error(`There is no "${python}"; run scripts/test.sh, or set PYEXEC_TEST_PYTHON`);
  const env = { ...process.env, PYEXEC_TEST_SERVER: service.url, PYTHONDONTWRITEBYTECODE: '1' };
  const { exitCode, stdout, stderr } = await runCommand(python, ['-m', ...args], { cwd: client, env });
  if (exitCode !== 0) expect.fail(`"python -m ${args.join(' ')}" ended with ${exitCode}:\n${stdout}${stderr}`);
}

describe('the Python client', () => {
  test('passes its unit tests', () => expectPass('pytest', '-q', 'tests/unit'), testMs);

  test(
    'passes its tests against this service, every example of its documentation among them',
    () => expectPass('pytest', '-q', 'tests/service'),
    testMs,
  );

  test('has types that hold', () => expectPass('mypy', '--strict'), testMs);

  test('is in the form that its linter wants', async () => {
    await expectPass('ruff', 'check');
    await expectPass('ruff', 'format', '--check');
  });
});
