import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Context } from '../context.js';

export function addVersionCommand(program: Command, context: Context): void {
  program
    .command('version')
    .description('print the version of this command')
    .action(() => {
      context.stdout.write(`python-executor ${readVersion()}\n`);
    });
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
