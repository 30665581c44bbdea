import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Service, startService } from '../support/service.js';
import { type Example, examplesOf, filesOf, isShown } from './blocks.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const { HOME, PATH } = process.env;
const documentedUrl = 'http://localhost:8080';
const documents = ['README.md', 'docs/guide.md', 'docs/http-api.md', 'docs/cli.md'];

let service: Service;

beforeAll(async () => {
  service = await startService({ env: { PYEXEC_POOL_SIZE: '2' } });
});

afterAll(async () => {
  await service?.stop();
});

describe.each(documents)('%s', (path) => {
  const document = readFileSync(join(root, path), 'utf8');
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'docs-examples-'));
    // Here npx finds the command, and modules the client.
    await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
    for (const { name, content } of filesOf(document)) await writeFile(join(directory, name), content);
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test.each(examplesOf(document))('the $language example at line $line does what is said', async (example) => {
    const printed = await runExample(example, directory);
    if (example.output === undefined) return;
    expect(isShown(printed, example.output), `printed:\n${printed}\nshown:\n${example.output}`).toBe(true);
  });
});

/** Runs an example in a directory, with our service in place of the documented one, and returns its stdout. */
async function runExample({ language, content }: Example, directory: string): Promise<string> {
  const code = content.replaceAll(documentedUrl, service.url);
  const running = run(...(await commandOf(language, code, directory)), {
    cwd: directory,
    env: {
      HOME,
      PATH: [join(root, 'node_modules/.bin'), PATH].join(delimiter),
      PYTHONPATH: join(root, 'clients/python'),
      PYTHONDONTWRITEBYTECODE: '1',
      PYEXEC_SERVER: service.url,
    },
  });
  running.child.stdin?.end();
  return (await running).stdout;
}

async function commandOf(language: string, code: string, directory: string): Promise<[string, string[]]> {
  switch (language) {
    case 'sh':
      return ['bash', ['-euc', code]];
    case 'python':
      return [python(), ['-c', code]];
    case 'ts': {
      await writeFile(join(directory, 'example.mts'), code);
      const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--skipLibCheck'];
      await run(join(root, 'node_modules/.bin/tsc'), [...options, 'example.mts'], { cwd: directory });
      return [process.execPath, ['example.mjs']];
    }
    default:
      throw new Error(`Examples in "${language}" cannot be run`);
  }
}

/** An interpreter with what the client needs: that of the virtual environment of the tests where there is one. */
function python(): string {
  const prepared = join(root, '.cache/test/bin/python');
  return existsSync(prepared) ? prepared : 'python3';
}
