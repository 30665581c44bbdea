import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const { PATH } = process.env;
const command = fileURLToPath(new URL('../bin/python-executor.js', import.meta.url));
const document = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

/** The help texts of the document, by what stands before `--help`; nothing stands for the command itself. */
const documented = new Map(
  [...document.matchAll(/^```text help(?:=(.+))?\n([\s\S]*?)^```$/gm)].map(([, words = '', help = '']) => [
    words,
    help,
  ]),
);

test.each([...documented])('the help of "python-executor %s" is as documented', async (words, help) => {
  expect(await helpOf(words)).toBe(help);
});

// A process for each command, one after the other.
test('every command is documented', { timeout: 30_000 }, async () => {
  expect(await commandsOf('')).toEqual([...documented.keys()].filter((words) => words !== ''));
});

async function helpOf(words: string): Promise<string> {
  const parameters = words.split(' ').filter((word) => word !== '');
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...parameters, '--help'], {
    env: { PATH },
  });
  return stdout;
}

/** Commands and their own commands, in the order of the help. */
async function commandsOf(words: string): Promise<string[]> {
  const [, afterTitle = ''] = (await helpOf(words)).split('\nCommands:\n');
  // Examples may follow.
  const [list = ''] = afterTitle.split('\n\n');
  const names = [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name as string).filter((name) => name !== 'help');
  const found: string[] = [];
  for (const name of names) {
    const path = `${words} ${name}`.trim();
    found.push(path, ...(await commandsOf(path)));
  }
  return found;
}
